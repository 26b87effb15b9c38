"""The scan models of the papers, one file each."""
