"""A Flower strategy that aggregates by a rule of fedchain and keeps every round in its ledger.

    pip install 'fedchain[flower]'
    python examples/flower_strategy.py --rounds 3 --attackers 2 --out flower-run
    fedchain verify flower-run

Clients train locally, as with Flower's FedAvg, and sign what they send: the pseudo-gradient, which
is the difference of the weights divided by the learning rate. The server checks the signatures,
aggregates by the rule (``krum``, ``median``, ``l_nearest`` ..), makes a block of the messages and
the new weights, and stores it. ``fedchain verify`` computes every model again from the messages.

To use it in an app of your own, import ``LedgerStrategy`` in the server and ``signed_update`` in
the client; ``client`` and ``serve`` below show where.
"""

from __future__ import annotations

import argparse
import math
import os
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

os.environ |= {"FLWR_TELEMETRY_ENABLED": "0", "RAY_USAGE_STATS_ENABLED": "0"}

import numpy as np
from flwr.app import ArrayRecord, ConfigRecord, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp
from flwr.serverapp import ServerApp
from flwr.serverapp.strategy import FedAvg

from fedchain.errors import EncodingError, InvalidMessage
from fedchain.ledger.chain.block import header_prefix, sign_block
from fedchain.ledger.chain.canonical import canonical_text
from fedchain.ledger.chain.chain import Chain
from fedchain.ledger.chain.crypto import public_key_of
from fedchain.ledger.chain.mempool import Mempool
from fedchain.ledger.chain.message import Declaration, decode_message, encode_message, identity_of
from fedchain.ledger.chain.rules import Rules, genesis
from fedchain.ledger.chain.state import State
from fedchain.ledger.chain.verdict_cache import VerdictCache
from fedchain.ledger.chain.work import Work, search, target_from_compact, works
from fedchain.ledger.storage.store import Store
from fedchain.nodes.compute.strategy import Draft
from fedchain.nodes.holders.identity import RoundKey
from fedchain.nodes.holders.release import ReleaseContext, ReleaseRequest, messages_of
from fedchain.randomness import digest
from fedchain.registry import Part
from fedchain.transition import Steps

STORAGE, MOST_NORM = "int16", 1e9
"""Integer type of directions, and the largest norm that a client may send."""
UNKNOWN = bytes(32)
"""Stands for a commitment to data, which a server of Flower does not know."""


def flattened(arrays: Sequence[np.ndarray]) -> np.ndarray:
    """Join arrays into one float64 vector."""
    return np.concatenate([array.ravel().astype(np.float64) for array in arrays])


def signed_update(
    before: ArrayRecord, after: ArrayRecord, config: ConfigRecord, secret: bytes, records: int
) -> ConfigRecord:
    """Return what a client adds to its reply: its pseudo-gradient as a signed message.

    Args:
        before: the arrays that the server sent.
        after: the arrays after the local steps.
        config: the config that the server sent; ``LedgerStrategy`` has written the place in it.
        secret: 32 bytes that only this client knows.
        records: number of records of the client.
    """
    here, round_ = flattened(after.to_numpy_ndarrays()), int(config["server-round"])
    step = flattened(before.to_numpy_ndarrays()) - here
    key = digest(secret, "flower", round_)
    context = ReleaseContext(
        secret=secret, chain_id=config["chain"], parent=config["parent"], round=round_, holder=0
    )
    asked = ReleaseRequest(context, RoundKey(key, public_key_of(key), None))
    said = Declaration(mechanism="none", noise_step=0, noise=0.0, clip=math.inf, records=records)
    gradient = (step / float(config["learning-rate"]))[None]
    (message,) = messages_of(gradient, [asked], [said], STORAGE)
    return ConfigRecord({"message": b"" if message is None else encode_message(message)})


class LedgerStrategy(FedAvg):
    """FedAvg whose rule is one of fedchain's, and whose rounds are blocks of a ledger."""

    def __init__(
        self,
        folder: Path,
        initial: ArrayRecord,
        *,
        clients: int,
        rounds: int,
        learning_rate: float,
        aggregation: Mapping[str, Any],
        secret: bytes,
        difficulty_bits: int = 8,
        **fedavg: Any,
    ) -> None:
        """Begin a ledger whose genesis block commits to the first weights and the rule.

        Args:
            folder: a new folder for the ledger.
            initial: the first arrays, which ``start`` gets too.
            clients: largest number of clients in a round.
            rounds: largest number of rounds.
            learning_rate: size of the clients' local steps, and of the step on the server.
            aggregation: the rule and its parameters, such as ``{"kind": "krum", "byzantine": 2}``.
            secret: 32 bytes that only the server knows.
            difficulty_bits: zero bits that the hash of a block needs.
            fedavg: further parameters of Flower's FedAvg.
        """
        super().__init__(fraction_evaluate=0.0, **fedavg)
        self._names = list(initial)
        self._shapes = [array.shape for array in initial.to_numpy_ndarrays()]
        self._types = [array.dtype for array in initial.to_numpy_ndarrays()]
        self._rate, self._secret = learning_rate, digest(secret, "compute node")
        state = State(flattened(initial.to_numpy_ndarrays()), {})
        work = works.build(_work(difficulty_bits))
        self._rules = self._agree(clients, rounds, dict(aggregation), work)
        first = genesis(self._rules, state)
        self._steps, verdicts = Steps(self._rules), VerdictCache()
        self._chain = Chain(
            genesis_block=first,
            genesis_state=state,
            rules=self._rules,
            transition=self._steps,
            verdict_cache=verdicts,
        )
        self._pool = Mempool(self._rules, self._chain.chain_id, self._chain.height_of, verdicts)
        self._store = Store.create(folder / "ledger", self._rules, first, state)
        self._began = time.monotonic()
        self.refused: list[str] = []
        """Why messages were refused, in order of arrival."""

    def _agree(self, clients: int, rounds: int, aggregation: dict[str, Any], work: Work) -> Rules:
        """Return the rules of the ledger; identities are open, so every client may send."""
        shapes = zip(self._names, self._shapes, strict=True)
        free = {"privacy": {}, "groups": None, "momentum": None, "threat": None}
        update = {"kind": "gradient_descent", "learning_rate": self._rate}
        return Rules(
            aggregation=canonical_text(aggregation),
            update=canonical_text(update),
            mechanism="none",
            noise=(0.0,),
            clip=math.inf,
            agreed=canonical_text({**free, "task": {"kind": "flower"}}),
            records=(),
            commitment=UNKNOWN,
            dimension=sum(math.prod(shape) for shape in self._shapes),
            layout=tuple((name, tuple(shape)) for name, shape in shapes),
            dtype="float64",
            holders=clients,
            identity="open",
            identity_root=UNKNOWN,
            quorum=1,
            rounds=rounds,
            storage=STORAGE,
            max_norm=MOST_NORM,
            work=work.kind,
            bits=work.bits,
            interval_ms=work.interval_ms,
            retarget_window=0,
            max_ahead_ms=work.interval_ms,
        )

    @property
    def head(self) -> bytes:
        """Hash of the newest block."""
        return self._chain.head

    def place(self) -> dict[str, bytes | float]:
        """Return what a client needs for its message: the chain, the newest block and the step."""
        chain = {"chain": self._chain.chain_id, "parent": self._chain.head}
        return {**chain, "learning-rate": self._rate}

    def configure_train(
        self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Any
    ) -> Iterable[Message]:
        """Tell the clients at which block they train."""
        config.update(self.place())
        return super().configure_train(server_round, arrays, config, grid)

    def aggregate_train(
        self,
        server_round: int,  # noqa: ARG002 - the messages name their round
        replies: Iterable[Message],
    ) -> tuple[ArrayRecord | None, MetricRecord | None]:
        """Make a block of the signed messages, and return its weights."""
        valid, _ = self._check_and_log_replies(replies, is_train=True)
        for reply in valid:
            self._receive(reply.content["signed"]["message"])
        messages = self._pool.messages(self._chain.head)
        if not messages:
            return None, None
        outcome = self._steps.outcome(self._chain.state(self._chain.head), messages)
        now_ms = int(1000 * (time.monotonic() - self._began))
        time_ms = max(now_ms, self._chain.link(self._chain.head).median_ms + 1)
        draft = Draft(self._chain.head, time_ms, messages, outcome.state)
        block = draft.block(self._chain, identity_of(public_key_of(self._secret)))
        prefix, target = header_prefix(block.header), target_from_compact(block.header.bits)
        nonce = search(prefix, 0, 2**40, target)
        assert nonce is not None, "so many tries are enough for an easy target"
        block = replace(block, header=replace(block.header, nonce=nonce))
        block = sign_block(block, self._secret)
        self._chain.add(block, time_ms)
        self._store.append(block, outcome.state, time_ms)
        self._store.flush()
        used = int((outcome.aggregate.shares > 0).sum())
        told = {"messages": len(messages), "used": used, "height": self._chain.height}
        return self._arrays(outcome.state.weights), MetricRecord(told)

    def _receive(self, data: object) -> None:
        """Check a message and keep it for the block; what is wrong is refused, with the reason."""
        try:
            if not isinstance(data, bytes):
                raise InvalidMessage(f"message: must be bytes, got {type(data).__name__}")
            self._pool.add(decode_message(data, self._rules.limits))
        except (EncodingError, InvalidMessage) as error:
            self.refused.append(str(error))

    def _arrays(self, weights: np.ndarray) -> ArrayRecord:
        ends = np.cumsum([math.prod(shape) for shape in self._shapes])[:-1]
        parts = zip(self._names, np.split(weights, ends), self._shapes, self._types, strict=True)
        named = {name: part.reshape(shape).astype(kind) for name, part, shape, kind in parts}
        record = ArrayRecord(list(named.values()))
        return ArrayRecord(dict(zip(named, record.values(), strict=True)))

    def close(self) -> None:
        """Close the ledger."""
        self._store.close()


def _work(difficulty_bits: int) -> Part:
    return works.check({"kind": "hashcash", "difficulty_bits": difficulty_bits}, ("work",))


HOLDERS, STEPS, RATE, BATCH = 10, 5, 0.1, 32
"""The federation of the example."""


def task_of() -> Any:
    """Return digits, dealt to ten clients."""
    from fedchain.learning.task import tasks

    block = {"kind": "digits", "model": {"kind": "softmax"}}
    return tasks.build(tasks.check(block, ("task",)), HOLDERS, 0)


client = ClientApp()


@client.train()
def train(message: Message, context: Any) -> Message:
    """Train locally, and sign the update; the first clients send the opposite of theirs."""
    import torch

    config, holder = message.content["config"], int(context.node_config["partition-id"])
    task, arrays = task_of(), message.content["arrays"]
    records, model = task.holders[holder], task.model()
    model.load_state_dict(arrays.to_torch_state_dict())
    before = ArrayRecord(model.state_dict())
    descent = torch.optim.SGD(model.parameters(), lr=RATE)
    torch.manual_seed(1000 * int(config["server-round"]) + holder)
    for _ in range(STEPS):
        some = torch.randperm(len(records.inputs))[:BATCH].numpy()
        outputs = model(torch.from_numpy(records.inputs[some]))
        descent.zero_grad()
        task.loss(outputs, torch.from_numpy(records.targets[some])).mean().backward()
        descent.step()
    if holder < int(config["attackers"]):
        for value, old in zip(
            model.parameters(), before.to_torch_state_dict().values(), strict=True
        ):
            value.data = old - 5 * (value.data - old)
    after = ArrayRecord(model.state_dict())
    secret = digest(holder, "secret of a client in an example")
    told = {
        "arrays": after,
        "signed": signed_update(before, after, config, secret, records.count),
        "metrics": MetricRecord({"num-examples": records.count}),
    }
    return Message(content=RecordDict(told), reply_to=message)


def serve(folder: Path, rounds: int, attackers: int, found: dict[str, Any]) -> ServerApp:
    """Return the server of the example, which writes its results to ``found``."""
    server = ServerApp()

    @server.main()
    def main(grid: Any, context: Any) -> None:  # noqa: ARG001 - Flower hands it over
        import torch

        task = task_of()
        initial = ArrayRecord(task.model().state_dict())
        strategy = LedgerStrategy(
            folder,
            initial,
            clients=HOLDERS,
            rounds=rounds,
            learning_rate=RATE,
            aggregation={"kind": "krum", "byzantine": 2, "keep": 6, "scale": "restore"},
            secret=digest(0, "secret of the server in an example"),
        )
        asked = ConfigRecord({"attackers": attackers})
        result = strategy.start(grid, initial, num_rounds=rounds, train_config=asked)
        strategy.close()
        model = task.model()
        model.load_state_dict(result.arrays.to_torch_state_dict())
        with torch.no_grad():
            outputs = model(torch.from_numpy(task.held_out.inputs)).numpy()
        accuracy = task.measure(outputs, task.held_out)["accuracy"]
        metrics = [dict(each) for each in result.train_metrics_clientapp.values()]
        found.update({"head": strategy.head.hex(), "accuracy": accuracy, "rounds": metrics})

    return server


def main() -> None:
    """Run the example in Flower's simulation."""
    from flwr.simulation import run_simulation

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=10, help="number of rounds, 10 by default")
    parser.add_argument(
        "--attackers", type=int, default=2, help="clients that attack, 2 by default"
    )
    parser.add_argument("--out", type=Path, default=Path("flower-run"), help="a new folder")
    asked = parser.parse_args()
    found: dict[str, Any] = {}
    run_simulation(
        server_app=serve(asked.out, asked.rounds, asked.attackers, found),
        client_app=client,
        num_supernodes=HOLDERS,
        backend_config={"client_resources": {"num_cpus": 1}},
    )
    print(f"accuracy {found['accuracy']:.3f}, head {found['head']}")
    print(f"used {[row['used'] for row in found['rounds']]} of {HOLDERS} messages")


if __name__ == "__main__":
    main()
