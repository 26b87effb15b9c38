// Keys and settings, in a dialog.
import { useEffect, useRef } from "preact/hooks";
import { KEYS } from "./keys";
import { Toggle } from "./parts/Toggle";
import { helpOpen, keysOn, presenter, theme } from "./state";
import { say } from "./words";

export function Help() {
  const dialog = useRef<HTMLDialogElement>(null);
  const open = helpOpen.value;
  useEffect(() => {
    if (open) dialog.current?.showModal();
    else dialog.current?.close();
  }, [open]);
  return (
    <dialog ref={dialog} aria-labelledby="help-title" onClose={() => (helpOpen.value = false)}>
      <h2 id="help-title">{say("help.title")}</h2>
      <table>
        <tbody>
          {KEYS.map(([key, words]) => (
            <tr><th scope="row"><kbd>{key}</kbd></th><td>{say(words)}</td></tr>
          ))}
        </tbody>
      </table>
      <Toggle label={say("help.keys_on")} on={keysOn.value} onSwitch={(on) => (keysOn.value = on)} />
      <Toggle label={say("help.presenter")} on={presenter.value} onSwitch={(on) => (presenter.value = on)} />
      <Shade />
      <button onClick={() => (helpOpen.value = false)}>{say("help.close")}</button>
    </dialog>
  );
}

function Shade() {
  return (
    <label class="choice">
      <span>{say("help.theme")}</span>
      <select
        value={theme.value ?? "system"}
        onChange={({ currentTarget: { value } }) => {
          theme.value = value === "light" || value === "dark" ? value : null;
        }}
      >
        <option value="system">{say("help.theme_system")}</option>
        <option value="light">{say("help.theme_light")}</option>
        <option value="dark">{say("help.theme_dark")}</option>
      </select>
    </label>
  );
}
