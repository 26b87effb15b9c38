"""A second verifier of chains, written from docs/format.md alone: it shares no code with fedchain.

`python verify_chain.py CHAIN.fedchain` reads a file of `fedchain export` and does everything again:
hashes, links, work, difficulty, times, signatures, identities, and every step of the model, bit for
bit. Exit codes: 0 verified, 2 no such file, 3 a rule that is not known here, 5 not verified.
"""

# fmt: off
import hashlib, json, math, pathlib, struct, sys

import numpy as np
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

LARGEST = {"int8": 127, "int16": 32767, "int32": 2**31 - 1}
LEAST_EXPONENT = {"int8": 6, "int16": 14, "int32": 20}
TYPES = {1: "<f4", 2: "<f8", 3: "<i8"}
RULES = """aggregation:t65536 update:t65536 dimension:u4 layout:l0 dtype:t7 holders:u4 identity:t10
    identity_root:b32 quorum:u4 rounds:u4 storage:t5 max_norm:f8 work:t8 bits:u4 interval_ms:u8
    window:u4 max_ahead_ms:u8"""
HEADER = """version:u2 chain_id:b32 height:u8 parent:b32 time_ms:u8 bits:u4 address:b32
    messages_root:b32 weights_hash:b32 memory_hash:b32 rules_hash:b32 nonce:u8"""
PLACE = "version:u2 chain_id:b32 parent:b32 round:u4 public_key:b32"
PRIME, ORDER_8 = 2**255 - 19, 0x05FC536D880238B13933C6D305ACDFD5F098EFF289F4C345B027B2C28F95E826
SMALL = (0, 1, PRIME - 1, ORDER_8, PRIME - ORDER_8)
CHOICES = {"dtype": ("float64", "float32"), "identity": ("registered", "open")}
CHOICES |= {"storage": tuple(LARGEST), "work": ("hashcash", "sampled")}
class Wrong(Exception): """The file breaks a rule."""
class UnknownRule(Exception): """The chain names a step that this script cannot do."""
def need(holds, what):
    if not holds: raise Wrong(what)
def sha(*parts): return hashlib.sha256(b"".join(parts)).digest()
class Bytes:
    """Bytes that are read from the front; numbers are big-endian, lengths have four bytes."""
    def __init__(self, data):
        self.data, self.at = data, 0
    def take(self, size):
        need(size <= len(self.data) - self.at, f"ends at byte {len(self.data)}")
        self.at += size
        return self.data[self.at - size : self.at]
    def uint(self, size): return int.from_bytes(self.take(size), "big")
    def real(self, size=8):
        raw = self.take(size)
        (value,) = struct.unpack(">d", raw)
        need(value == value or raw.hex() == "7ff8000000000000", "a NaN in another spelling")
        return value
    def text(self, most):
        size = self.uint(4)
        need(size <= most, f"a text of {size} bytes")
        return self.take(size).decode()
    def layout(self, _):
        return [(self.text(256), [self.uint(4) for _ in range(self.uint(1))])
                for _ in range(self.uint(4))]
    def fields(self, tag, names):
        """Read a record: u whole numbers, b bytes, t texts, f a float64, l the layout."""
        need(self.take(10) == tag, f"does not begin with {tag!r}")
        kinds = {"u": self.uint, "b": self.take, "t": self.text, "f": self.real, "l": self.layout}
        pairs = (field.split(":") for field in names.split())
        return {name: kinds[kind[0]](int(kind[1:])) for name, kind in pairs}
    def end(self):
        need(self.at == len(self.data), f"{len(self.data) - self.at} bytes too many")

def read_tensors(data):
    read, tensors = Bytes(data), {}
    for _ in range(read.uint(4)):
        name, code, axes = read.text(128), read.uint(1), read.uint(1)
        need(code in TYPES and axes <= 8 and len(tensors) < 64, "state: type, axes or number")
        shape = [read.uint(8) for _ in range(axes)]
        raw = read.take(math.prod(shape) * np.dtype(TYPES[code]).itemsize)
        tensors[name] = np.frombuffer(raw, TYPES[code]).reshape(shape)
    read.end()
    need(write_tensors(tensors) == data, "state: not the canonical encoding")
    return tensors
def write_tensors(tensors):
    out = [len(tensors).to_bytes(4, "big")]
    for name, tensor in sorted(tensors.items()):
        code = {"float32": 1, "float64": 2, "int64": 3}[tensor.dtype.name]
        if code < 3 and np.isnan(tensor).any():  # every NaN has the same bits
            tensor = np.where(np.isnan(tensor), tensor.dtype.type(np.nan), tensor)
        shape = [size.to_bytes(8, "big") for size in tensor.shape]
        out += [len(name.encode()).to_bytes(4, "big"), name.encode(), bytes([code, tensor.ndim])]
        out += [*shape, np.ascontiguousarray(tensor, TYPES[code]).tobytes()]
    return b"".join(out)
def state_hashes(weights, memory):
    return sha(write_tensors({"weights": weights})), sha(write_tensors(memory))
def read_message(data):
    """Return a message as a dictionary, with its payload, id and content."""
    read = Bytes(data)
    said = read.fields(b"fedchain:m", PLACE)
    given = read.uint(1)
    if given:
        said["proof"] = read.uint(8), read.uint(8), [read.take(32) for _ in range(read.uint(1))]
    need(given <= 1 and len(said.get("proof", "..-")[2]) <= 64, "message: proof")
    start = read.at
    said["exponent"], width, entries = read.uint(1), read.uint(1), read.uint(4)
    need(width in (1, 2, 4), "message: width")
    said["direction"] = np.frombuffer(read.take(width * entries), f"<i{width}")
    said["payload"], rest = sha(data[start : read.at]), read.at
    said["norm"], said["mechanism"] = read.real(), read.text(64)
    said["noise"], said["clip"], said["records"] = read.real(), read.real(), read.uint(4)
    said["id"] = sha(data[:start], said["payload"], data[rest : read.at])
    said["signature"] = read.take(64)
    said["content"] = sha(said["id"], said["signature"])
    read.end()
    return said

def tree_root(leaves):
    """Return the RFC 6962 root of leaves."""
    level = [sha(b"\0", leaf) for leaf in leaves]
    while len(level) > 1:
        pairs = [sha(b"\1", a, b) for a, b in zip(level[::2], level[1::2])]
        level = pairs + level[len(pairs) * 2 :]
    return level[0] if level else sha()
def root_of_proof(leaf, index, size, path):
    """Return the root that an RFC 9162 inclusion proof leads to."""
    last, node, path = size - 1, sha(b"\0", leaf), list(path)
    need(0 <= index <= last, "proof: no such leaf")
    while last:
        if index % 2 or index != last:
            need(path, "proof: too short")
            node = sha(b"\1", *((path.pop(0), node) if index % 2 else (node, path.pop(0))))
        index, last = index // 2, last // 2
    need(not path, "proof: too long")
    return node
def of_small_order(key): return int.from_bytes(key, "little") % 2**255 % PRIME in SMALL
def check_message(said, rules, header):
    q, e, storage = said["direction"], said["exponent"], rules["storage"]
    for key in ("version", "chain_id", "parent"):
        need(said[key] == header[key], f"message: {key}")
    need(said["round"] == header["height"], "message: round")
    need(0 < said["norm"] <= rules["max_norm"] and said["norm"] < math.inf, "message: norm")
    need(q.dtype.name == storage and len(q) == rules["dimension"], "message: direction")
    need(LEAST_EXPONENT[storage] <= e <= 20, "message: exponent")
    slack, unit, square = math.isqrt(len(q)) + 2, 2 ** (e + 1), 4 * sum(x * x for x in q.tolist())
    low, high = max(unit - slack, 1) ** 2, min(unit + slack, 2 * unit) ** 2
    need(low <= square <= high, "message: length of the direction")
    peak = max(int(q.max()), -int(q.min()))
    need(e == 20 or 2 * peak + 1 > LARGEST[storage], "message: exponent could be larger")
    need(said["mechanism"] and said["clip"] > 0 < said["records"], "message: declaration")
    need(0 <= said["noise"] < math.inf, "message: noise")
    need(("proof" in said) == (rules["identity"] == "registered"), "message: proof")
    leaf = said["round"].to_bytes(4, "big") + sha(said["public_key"])
    root = root_of_proof(leaf, *said["proof"]) if "proof" in said else rules["identity_root"]
    need(root == rules["identity_root"], "message: identity")
    need(not of_small_order(said["public_key"]), "message: a key that signs everything")
    key = Ed25519PublicKey.from_public_bytes(said["public_key"])
    try: key.verify(said["signature"], b"fedchain:s" + said["id"])
    except InvalidSignature: raise Wrong("message: signature") from None
def rule_of(text, kinds, **defaults):
    """Return the parameters of a rule, or say that this script does not know it."""
    rule = json.loads(text)
    if rule.get("kind") not in kinds or set(rule) - {"kind", *defaults}: raise UnknownRule(text)
    return {**defaults, **rule}
def aggregate(rules, messages):
    """Return the global gradient, (14) to (16); messages stand in ascending order of their ids."""
    rule = rule_of(rules["aggregation"], ("l_nearest", "mean"), keep=None, scale="restore")
    rows = np.stack([m["direction"].astype(np.int64) << (20 - m["exponent"]) for m in messages])
    used, norms = range(len(rows)), np.array([m["norm"] for m in messages])
    if rule["kind"] == "l_nearest":
        inner, squares = rows @ rows.sum(axis=0), (rows * rows).sum(axis=1)
        near = inner.astype(np.float64) / np.sqrt(squares.astype(np.float64))
        used = sorted(np.argsort(-near, kind="stable")[: rule["keep"]].tolist())
    cut = np.minimum(norms, np.median(norms))
    scaled = {"restore": norms, "unit": norms**0, "median_clip": cut}[rule["scale"]]
    total = np.zeros(rules["dimension"])
    for k in used:
        factor = 2.0 ** (20 - messages[k]["exponent"]) * scaled[k]
        total += messages[k]["direction"].astype(np.float64) * factor
    return total / (len(used) * 2.0**20)
def step(rules, state, messages, round_):
    """Return weights and memory after a block, (8); one rounded operation at a time."""
    if not messages: return state
    text, around, kept = rules["update"], {}, {}
    while (kind := json.loads(text).get("kind")) in ("averaged", "filtered") and kind not in around:
        around[kind] = rule_of(text, (kind,), of=None, decay=1.0, from_round=1, drift=0.1)
        text = json.dumps(around[kind]["of"])
    kinds = "gradient_descent", "momentum", "adam", "distance_over_gradients"
    rule = rule_of(text, kinds, learning_rate=1.0, decay=0.0, weight_decay=0.0, momentum=0.9,
                   beta1=0.9, beta2=0.999, stabiliser=1e-8, first=0.05)
    (weights, memory), pull, one = state, aggregate(rules, messages), np.ones(1)
    w, zero = weights.astype(np.float64), np.zeros(len(weights))
    if "filtered" in around:
        old, p = memory.get("filtered", pull), memory.get("gain", one) + around["filtered"]["drift"]
        gain = p / (p + 1.0) if "gain" in memory else one
        kept = {"filtered": (pull := old + gain * (pull - old)), "gain": gain}
    average = memory.get("average")
    pull = pull + rule["weight_decay"] * w if rule["weight_decay"] else pull
    if rule["kind"] == "momentum":
        memory = {"momentum": (pull := rule["momentum"] * memory.get("momentum", zero) + pull)}
    if rule["kind"] == "adam":
        b1, b2 = rule["beta1"], rule["beta2"]
        first = b1 * memory.get("first", zero) + (1.0 - b1) * pull
        second = b2 * memory.get("second", zero) + (1.0 - b2) * (pull * pull)
        p1, p2 = b1 * memory.get("beta1_power", one), b2 * memory.get("beta2_power", one)
        memory = {"first": first, "second": second, "beta1_power": p1, "beta2_power": p2}
        pull = (first / (1.0 - p1)) / (np.sqrt(second / (1.0 - p2)) + rule["stabiliser"])
    if rule["kind"] == "distance_over_gradients":
        start, first = memory.get("start", w), rule["first"] * np.sqrt([float(len(w))])
        far, way, g = memory.get("distance", first), w - start, pull
        memory = {"start": start, "distance": np.maximum(far, np.sqrt([math.fsum(way * way)])),
                  "squares": (squares := memory.get("squares", 0.0) + np.array([math.fsum(g * g)]))}
        pull = memory["distance"] / np.sqrt(squares) * g if squares[0] else zero
    rate = rule["learning_rate"] / (1.0 + rule["decay"] * (round_ - 1))
    w = w - rate * pull
    if "averaged" in around and (n := round_ - around["averaged"]["from_round"] + 1) > 0:
        old = w if average is None else average
        kept["average"] = old + max(1.0 / n, 1.0 - around["averaged"]["decay"]) * (w - old)
    return w.astype(rules["dtype"]), {**memory, **kept}
def target_of(bits):
    size, mantissa = bits >> 24, bits & 0x7FFFFF
    target = mantissa << 8 * (size - 3) if size > 3 else mantissa >> 8 * (3 - size)
    need(not bits & 0x800000 and 0 < target < 2**256, "bits: no target")
    return target
def compact_of(target):
    size = (target.bit_length() + 7) // 8
    mantissa = target << 8 * (3 - size) if size <= 3 else target >> 8 * (size - 3)
    sign = mantissa >> 23  # the highest bit is a sign: shift it away
    return size + sign << 24 | mantissa >> 8 * sign

class Chain:
    """Blocks by their hash: header, cumulative work, state after them."""
    def __init__(self, rules, rules_hash, state):
        head = b"fedchain:h\0\1" + bytes(32 + 8 + 32 + 8) + rules["bits"].to_bytes(4, "big")
        roots = bytes(32) + sha() + b"".join(state_hashes(*state)) + rules_hash
        header = Bytes(head + roots + bytes(8)).fields(b"fedchain:h", HEADER)
        self.rules, self.id = rules, sha(sha(head + roots + bytes(8)))
        self.blocks = {self.id: (header, 0, state)}
    def up_to(self, name, count):
        found = []
        while name in self.blocks and len(found) < count:
            found.append(self.blocks[name][0])
            name = found[-1]["parent"]
        return found
    def bits_after(self, name):  # Bitcoin's retarget
        last, window = self.blocks[name][0], self.rules["window"]
        if not window or (last["height"] + 1) % window: return last["bits"]
        first, expected = self.up_to(name, window)[-1], window * self.rules["interval_ms"]
        took = min(max(last["time_ms"] - first["time_ms"], expected // 4), 4 * expected)
        target = max(target_of(last["bits"]) * took // expected, 1)
        return compact_of(min(target, target_of(self.rules["bits"])))
    def add(self, data, arrived_ms):
        read, rules, name = Bytes(data), self.rules, sha(sha(data[:264]))
        header = read.fields(b"fedchain:h", HEADER)
        messages = [read_message(read.take(read.uint(4))) for _ in range(read.uint(4))]
        read.end()
        need(header["parent"] in self.blocks and name not in self.blocks, "parent, or seen before")
        last, work, state = self.blocks[header["parent"]]
        need(header["version"] == 1 and header["chain_id"] == self.id, "version or chain_id")
        need(header["height"] == last["height"] + 1 <= rules["rounds"], "height")
        need(header["rules_hash"] == last["rules_hash"], "rules_hash")
        times = sorted(below["time_ms"] for below in self.up_to(header["parent"], 11))
        median, latest = times[len(times) // 2], arrived_ms + rules["max_ahead_ms"]
        need(median < header["time_ms"] <= latest, "time_ms")
        need(header["bits"] == self.bits_after(header["parent"]), "bits")
        target, hashed = target_of(header["bits"]), rules["work"] == "hashcash"
        need(int.from_bytes(name, "big") <= target if hashed else header["nonce"] == 0, "nonce")
        most = rules["holders"] if rules["identity"] == "registered" else 65536
        need(rules["quorum"] <= len(messages) <= most, "messages: number")
        need(tree_root([m["content"] for m in messages]) == header["messages_root"], "root")
        need(all(a["id"] < b["id"] for a, b in zip(messages, messages[1:])), "messages: order")
        for key in ("public_key", "payload"):
            need(len({m[key] for m in messages}) == len(messages), f"messages: two of one {key}")
        for message in messages: check_message(message, rules, header)
        after = step(rules, state, messages, header["height"])
        need(state_hashes(*after) == (header["weights_hash"], header["memory_hash"]), "state")
        self.blocks[name] = header, work + 2**256 // (target + 1), after

def verify(data):
    """Check a file of `fedchain export`; return the number of blocks, the head and its height."""
    read = Bytes(data)
    need(read.take(10) == b"fedchain:x" and read.uint(2) == 1, "file: tag or version")
    record = Bytes(written := read.take(read.uint(4)))
    rules = record.fields(b"fedchain:r", RULES)
    record.end()
    need(all(rules[key] in allowed for key, allowed in CHOICES.items()), "rules: a choice")
    weights, memory = (read_tensors(read.take(read.uint(8))) for _ in range(2))
    kinds = {name: (tensor.shape, tensor.dtype.name) for name, tensor in weights.items()}
    need(kinds == {"weights": ((rules["dimension"],), rules["dtype"])}, "first weights")
    chain = Chain(rules, sha(written), (weights["weights"], memory))
    count, head = read.uint(8), read.take(32)
    for _ in range(count):
        arrived_ms = read.uint(8)
        need(arrived_ms < 2**63, "file: time of arrival")
        chain.add(read.take(read.uint(8)), arrived_ms)
    need(sha(data[: read.at]) == read.take(32), "file: digest")
    read.end()
    most = max(work for _, work, _ in chain.blocks.values())
    need(head in chain.blocks and chain.blocks[head][1] == most, "head: not a block with most work")
    return count, head, chain.blocks[head][0]["height"]
def main(path):
    try:
        count, head, height = verify(pathlib.Path(path).read_bytes())
    except (OSError, UnknownRule, Wrong, ValueError, KeyError) as error:
        code = 2 if isinstance(error, OSError) else 3 if isinstance(error, UnknownRule) else 5
        print({2: "no file", 3: "an unknown rule", 5: "FAILED"}[code], error, sep=": ")
        return code
    print(f"ok: {count} blocks verified, head {head.hex()[:8]} (height {height})")

if __name__ == "__main__":
    sys.exit(main(sys.argv[1]) if len(sys.argv) == 2 else __doc__)
