// Numbers modulo 2^255 - 19. Between operations they are of either sign: a remainder keeps the sign.
// BigInt is faster here than limbs in float64, of which a product needs 144 and two rounds of carries.

export const PRIME = 2n ** 255n - 19n;

export function times(a: bigint, b: bigint): bigint {
  return (a * b) % PRIME;
}

/** The remainder from 0 to below the prime. */
export function reduced(value: bigint): bigint {
  const left = value % PRIME;
  return left < 0n ? left + PRIME : left;
}

/** x^(2^n). */
function squared(x: bigint, n: number): bigint {
  for (let turn = 0; turn < n; turn++) x = times(x, x);
  return x;
}

/** x^(2^250 - 1) and x^11, from which both powers below are few steps away. */
function ladder(x: bigint): [bigint, bigint] {
  const two = squared(x, 1), nine = times(squared(two, 2), x), eleven = times(nine, two);
  const to5 = times(squared(eleven, 1), nine);
  const to10 = times(squared(to5, 5), to5), to20 = times(squared(to10, 10), to10);
  const to40 = times(squared(to20, 20), to20), to50 = times(squared(to40, 10), to10);
  const to100 = times(squared(to50, 50), to50), to200 = times(squared(to100, 100), to100);
  return [times(squared(to200, 50), to50), eleven];
}

/** 1 / x, as x^(p - 2). */
export function inverse(x: bigint): bigint {
  const [most, eleven] = ladder(x);
  return times(squared(most, 5), eleven);
}

/** x^((p - 5) / 8), for square roots. */
export function rootPower(x: bigint): bigint {
  return times(squared(ladder(x)[0], 2), x);
}
