"""What is written: messages, blocks, their validity, and the chain. It knows nothing of learning."""
