import type { CommandWords, OptionWords, Words } from './words.js';

export function zshCompletion({ commands, options }: Words): string {
  const top = commands.filter(({ path }) => !path.includes(' '));
  const describe = (list: readonly CommandWords[]): string =>
    list.map(({ path, summary }) => `    ${quote(`${path.split(' ').at(-1)}:${summary}`)}`).join('\n');
  const cases = top.map((command) => {
    const children = commands.filter(({ path }) => path.startsWith(`${command.path} `));
    const own = [...command.options, ...children.flatMap((child) => child.options)];
    const first = command.words.length === 0 ? '' : ` ${quote(`1: :(${command.words.join(' ')})`)}`;
    return `    ${command.path}) _arguments -s $globals${own.map(specs).join('')}${first} '*: :_files' ;;`;
  });
  return `#compdef spillway
# zsh completion of spillway: spillway completion zsh > "\${fpath[1]}/_spillway"
_spillway() {
  local -a commands globals
  local state line context
  commands=(
${describe(top)}
  )
  globals=(
${options.map((option) => `   ${specs(option)}`).join('\n')}
    '--help[help]'
  )
  _arguments -C $globals '1: :->command' '*:: :->argument'
  case $state in
    command) _describe command commands ;;
    argument)
      case $line[1] in
${cases.map((line) => `    ${line}`).join('\n')}
      esac
      ;;
  esac
}
if [[ $funcstack[1] == _spillway ]]; then _spillway "$@"; else compdef _spillway spillway; fi
`;
}

function specs(option: OptionWords): string {
  const summary = option.summary.replaceAll(/[[\]:]/g, ' ');
  const value = !option.takesValue
    ? ''
    : option.file
      ? ':file:_files'
      : option.choices.length > 0
        ? `:value:(${option.choices.join(' ')})`
        : ':value: ';
  return option.flags.map((flag) => ` ${quote(`${flag}[${summary}]${value}`)}`).join('');
}

function quote(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
