/**
 * The text of BIRD's control socket (BIRD 2: nest/cli.c). A reply is lines "CCCC-text", ended by one "CCCC text"; a
 * line that begins with a space goes on with the code of the line before; one that begins with "+" is said unasked.
 */

export interface ReplyLine {
  /** 0xxx done, 1xxx an entry of a table, 2xxx its heading, 8xxx could not be done, 9xxx was not understood. */
  readonly code: number;
  readonly text: string;
}

/** Its last line is the verdict. */
export type Reply = readonly ReplyLine[];

const MOST_LINE = 64 * 1024;
const MOST_REPLY = 16 * 1024 * 1024;

/** Cuts what arrives into replies. @throws Error when it is not this protocol */
export class ReplyReader {
  #rest = '';
  #lines: ReplyLine[] = [];
  #size = 0;

  push(chunk: string): readonly Reply[] {
    const replies: Reply[] = [];
    const lines = (this.#rest + chunk).split('\n');
    this.#rest = lines.pop()!;
    this.#size += chunk.length;
    if (this.#rest.length > MOST_LINE) throw new Error(`a line of more than ${MOST_LINE} characters`);
    for (const line of lines) {
      if (line.startsWith('+')) continue;
      if (!this.#take(line)) continue;
      replies.push(this.#lines);
      this.#lines = [];
      this.#size = this.#rest.length;
    }
    if (this.#size > MOST_REPLY) throw new Error(`a reply of more than ${MOST_REPLY} characters`);
    return replies;
  }

  /** True when the line ends a reply. */
  #take(line: string): boolean {
    const coded = /^(\d{4})([ -])(.*)$/s.exec(line);
    if (coded) {
      this.#lines.push({ code: Number(coded[1]), text: coded[3]! });
      return coded[2] === ' ';
    }
    const last = this.#lines.at(-1);
    if (!line.startsWith(' ') || last === undefined)
      throw new Error(`${JSON.stringify(line.slice(0, 60))} is no line of BIRD's`);
    this.#lines.push({ code: last.code, text: line.slice(1) });
    return false;
  }
}

export function verdictOf(reply: Reply): ReplyLine {
  return reply.at(-1)!;
}

/** 8xxx and 9xxx. */
export function refused(reply: Reply): boolean {
  return verdictOf(reply).code >= 8000;
}
