"""A process that was forked after torch has computed in several threads."""

import os
import subprocess
import sys

import pytest

FORKED = """
import os, sys
import torch
import fedchain.machine
def compute():
    whole = torch.ones(400, 400) @ torch.ones(400, 400)
    return float(whole.exp().clamp(max=2.0).sum())
torch.set_num_threads(2)
before = compute()
child = os.fork()
if child == 0:
    os._exit(17 if compute() == before and torch.get_num_threads() == 1 else 18)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system forks no processes")
def test_a_forked_process_computes_in_one_thread_and_does_not_wait_for_its_parents_threads():
    command = [sys.executable, "-c", FORKED]
    with subprocess.Popen(command, start_new_session=True) as process:
        try:
            assert process.wait(timeout=600) == 17
        finally:
            if process.poll() is None:
                os.killpg(process.pid, 9)
