"""Federated, blockchain-based training of scan models, simulated."""
