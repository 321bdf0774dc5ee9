/** A unit file of systemd, and files of options for the environment, as far as ours go. */

export interface Setting {
  readonly section: string;
  readonly name: string;
  readonly value: string;
}

/** Throws for a line that is none of a unit file. */
export function readUnit(text: string): Setting[] {
  const settings: Setting[] = [];
  let section = '';
  for (const line of text.split('\n')) {
    if (line.trim() === '' || line.startsWith('#')) continue;
    const head = /^\[(\w+)\]$/.exec(line);
    const [, name = '', value = ''] = /^([A-Z]\w*)=(.*)$/.exec(line) ?? [];
    if (head?.[1] !== undefined) section = head[1];
    else if (name !== '' && section !== '') settings.push({ section, name, value });
    else throw new Error(`no line of a unit file: ${line}`);
  }
  return settings;
}

export const valuesIn = (settings: readonly Setting[], name: string): string[] =>
  settings.filter((each) => each.name === name).map(({ value }) => value);

/** `NAME=value` a line; throws for another one. */
export function readEnvironment(text: string): Record<string, string> {
  const lines = text.split('\n').filter((line) => line.trim() !== '' && !line.startsWith('#'));
  return Object.fromEntries(
    lines.map((line) => {
      const [, name, value] = /^([A-Z][A-Z0-9_]*)=(.*)$/.exec(line) ?? [];
      if (name === undefined || value === undefined) throw new Error(`no option: ${line}`);
      return [name, value];
    }),
  );
}

/** What systemd would run, with these in place of paths that are not on this machine. */
export function startLine(
  settings: readonly Setting[],
  places: Readonly<Record<string, string>>,
): { words: string[]; env: Record<string, string> } {
  const here = (text: string): string =>
    Object.entries(places).reduce((made, [there, place]) => made.replaceAll(there, place), text);
  const words = valuesIn(settings, 'ExecStart').flatMap((line) => line.split(' '));
  return {
    words: words.map(here),
    env: readEnvironment(valuesIn(settings, 'Environment').map(here).join('\n')),
  };
}
