"""Training on folders of scans, without federation: model files, filtering and evaluation."""
