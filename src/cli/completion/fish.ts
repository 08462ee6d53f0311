import type { OptionWords, Words } from './words.js';

export function fishCompletion({ commands, options }: Words): string {
  const lines = [
    '# fish completion of spillway: spillway completion fish > ~/.config/fish/completions/spillway.fish',
    'complete -c spillway -f',
    ...options.map((option) => `complete -c spillway ${flagsOf(option)}`),
  ];
  for (const { path, summary, options: own, words } of commands) {
    const parts = path.split(' ');
    const name = parts.at(-1)!;
    const parent = parts.slice(0, -1);
    const before = parent.length === 0 ? '__fish_use_subcommand' : `__fish_seen_subcommand_from ${parent.join(' ')}`;
    lines.push(`complete -c spillway -n ${quote(before)} -a ${name} -d ${quote(summary)}`);
    const within = quote(`__fish_seen_subcommand_from ${name}`);
    for (const option of own) lines.push(`complete -c spillway -n ${within} ${flagsOf(option)}`);
    const leaves = words.filter((word) => !commands.some((one) => one.path === `${path} ${word}`));
    if (leaves.length > 0) lines.push(`complete -c spillway -n ${within} -a ${quote(leaves.join(' '))}`);
  }
  return `${lines.join('\n')}\n`;
}

function flagsOf(option: OptionWords): string {
  const flags = option.flags.map((flag) => (flag.startsWith('--') ? `-l ${flag.slice(2)}` : `-s ${flag.slice(1)}`));
  const value = !option.takesValue
    ? []
    : option.file
      ? ['-r', '-F']
      : option.choices.length > 0
        ? ['-x', `-a ${quote(option.choices.join(' '))}`]
        : ['-x'];
  return [...flags, ...value, '-d', quote(option.summary)].join(' ');
}

function quote(text: string): string {
  return `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;
}
