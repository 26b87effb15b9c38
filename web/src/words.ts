// Every text that a reader sees, by its key in strings/en.json.
import strings from "../strings/en.json";

type Strings = typeof strings;
/** A key such as `compass.title`. */
export type Key = {
  [Section in keyof Strings]: `${Section & string}.${keyof Strings[Section] & string}`;
}[keyof Strings];
export type Values = Record<string, string | number>;

const plural = new Intl.PluralRules("en");

/**
 * The text of a key with its values in place of `{name}`. A text that depends on a number has the
 * forms `one` and `other`, chosen by the value `n`.
 */
export function say(key: Key, values: Values = {}): string {
  const [section, name] = key.split(".") as [keyof Strings, string];
  const found = (strings[section] as Record<string, string | Record<string, string>>)[name]!;
  const form = plural.select(Number(values["n"]));
  const text = typeof found === "string" ? found : (found[form] ?? found["other"])!;
  return text.replace(/\{(\w+)\}/g, (_, slot: string) => String(values[slot] ?? ""));
}
