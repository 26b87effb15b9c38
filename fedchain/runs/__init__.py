"""Runs: functions that run a scenario, resume an interrupted run, and write the results."""
