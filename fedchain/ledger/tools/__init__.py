"""Tools on a chain that exists: verification, proofs, export, tampering."""
