// Noise beside signal: how much of the norm of a round's messages is expected to be noise.
import { median } from "d3-array";
import type { MessageRecord } from "../../records";

export interface NoisePart {
  round: number;
  /** Median over the round's messages of the expected norm of the noise. */
  noise: number;
  /** Median of the norms. */
  norm: number;
}

const known = new WeakMap<readonly MessageRecord[], NoisePart | null>();

/** The medians of a round; null where the noise of no message is known. */
export function noisePart(
  messages: readonly MessageRecord[], noise: readonly (number | null)[],
): NoisePart | null {
  const before = known.get(messages);
  if (before !== undefined) return before;
  const own = messages.filter((message) => noise[message.holder] != null);
  const made = own.length
    ? {
        round: own[0]!.round,
        noise: median(own, (message) => noise[message.holder]!)!,
        norm: median(own, (message) => message.norm)!,
      }
    : null;
  known.set(messages, made);
  return made;
}

/** The share of the norm's square that is noise, from 0 to 1: squares of independent parts add up. */
export function noiseShare({ noise, norm }: NoisePart): number {
  return norm > 0 ? Math.min(1, (noise / norm) ** 2) : 1;
}
