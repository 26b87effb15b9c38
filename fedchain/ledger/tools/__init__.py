"""Tools for an existing chain: verification, proofs, export, tampering."""
