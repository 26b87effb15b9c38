"""Strategies of dishonest compute nodes, one file for each kind of attack on the chain."""
