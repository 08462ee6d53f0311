import type { OptionWords, Words } from './words.js';

/** For bash 4 and newer; needs no bash-completion package. */
export function bashCompletion({ commands, options }: Words): string {
  const top = commands.filter(({ path }) => !path.includes(' ')).map(({ path }) => path);
  const groups = commands.filter(
    ({ path, words }) => words.length > 0 && commands.some((one) => one.path.startsWith(`${path} `)),
  );
  const cases = commands.map(({ path, options: own, words }) => {
    const flags = [...own.flatMap((option) => option.flags), ...words];
    return `    '${path}') words='${flags.join(' ')}' ;;`;
  });
  const all = [...options, ...commands.flatMap((command) => command.options)];
  return `# bash completion of spillway: eval "$(spillway completion bash)"
_spillway() {
  local cur=\${COMP_WORDS[COMP_CWORD]} prev=\${COMP_WORDS[COMP_CWORD - 1]} path='' words='' word i
  COMPREPLY=()
  case $prev in
${valueCases(all)}
  esac
  for ((i = 1; i < COMP_CWORD; i++)); do
    word=\${COMP_WORDS[i]}
    case $word in
      ${valueFlags(all).join(' | ')}) ((i++)) ;;
      -*) ;;
      *)
        if [[ -z $path ]]; then path=$word
        elif [[ ' ${groups.map(({ path }) => path).join(' ')} ' == *" $path "* ]]; then path="$path $word"
        fi
        ;;
    esac
  done
  case $path in
    '') words='${top.join(' ')}' ;;
${cases.join('\n')}
  esac
  COMPREPLY=($(compgen -W "$words ${options.flatMap((option) => option.flags).join(' ')} --help" -- "$cur"))
}
complete -F _spillway spillway
`;
}

function valueFlags(options: readonly OptionWords[]): string[] {
  return [...new Set(options.filter((option) => option.takesValue).flatMap((option) => option.flags))];
}

/** After an option with a value: its choices, files, or nothing. */
function valueCases(options: readonly OptionWords[]): string {
  const seen = new Set<string>();
  const lines: string[] = [];
  for (const option of options.filter((one) => one.takesValue)) {
    const flags = option.flags.filter((flag) => !seen.has(flag));
    for (const flag of flags) seen.add(flag);
    if (flags.length === 0) continue;
    const reply = option.file
      ? 'COMPREPLY=($(compgen -f -- "$cur")); return'
      : option.choices.length > 0
        ? `COMPREPLY=($(compgen -W '${option.choices.join(' ')}' -- "$cur")); return`
        : 'return';
    lines.push(`    ${flags.join(' | ')}) ${reply} ;;`);
  }
  return lines.join('\n');
}
