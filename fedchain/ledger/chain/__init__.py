"""Chain in memory: messages, blocks, the rules, and the checks that make them valid."""
