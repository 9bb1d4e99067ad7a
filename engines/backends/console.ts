/**
 * What a guest prints: split into lines, its last lines kept for error messages, nothing of it able to do anything to
 * the terminal or the memory of the host. A flood is cut, and counted.
 */

export interface ConsoleLimits {
  /** Lines kept. */
  lines: number;
  /** Characters kept in all lines together. */
  characters: number;
  /** A longer line is split there. */
  lineLength: number;
}

const DEFAULTS: ConsoleLimits = { lines: 64, characters: 16 * 1024, lineLength: 1024 };
const NEWLINE = 10;
const CARRIAGE_RETURN = 13;
const TAB = 9;
const FIRST_PRINTABLE = 32;
const DELETE = 127;

export class ConsoleLog {
  /** Bytes taken, lines ended, and lines that are no longer kept. */
  readonly counters = { bytes: 0, lines: 0, discarded: 0 };
  readonly #limits: ConsoleLimits;
  readonly #lines: string[] = [];
  #characters = 0;
  #pending: number[] = [];

  /** onLine: gets every line as it ends, escaped. */
  constructor(
    limits: Partial<ConsoleLimits> = {},
    private readonly onLine: (line: string) => void = () => {},
  ) {
    this.#limits = { ...DEFAULTS, ...limits };
  }

  /** One byte of output, 0 to 255. */
  put(byte: number): void {
    this.counters.bytes++;
    if (byte === NEWLINE) this.#end();
    else if (this.#pending.push(byte & 0xff) >= this.#limits.lineLength) this.#end();
  }

  write(bytes: Uint8Array): void {
    for (const byte of bytes) this.put(byte);
  }

  /** The last lines, oldest first, with the one that has not ended. */
  tail(): string[] {
    return this.#pending.length === 0 ? [...this.#lines] : [...this.#lines, escapeLine(this.#pending)];
  }

  #end(): void {
    const line = escapeLine(this.#pending);
    this.#pending = [];
    this.counters.lines++;
    this.#lines.push(line);
    this.#characters += line.length;
    while (this.#lines.length > this.#limits.lines || this.#characters > this.#limits.characters) {
      const gone = this.#lines.shift();
      if (gone === undefined) break;
      this.#characters -= gone.length;
      this.counters.discarded++;
    }
    this.onLine(line);
  }
}

/** Text in which control characters show as \xNN (a tab stays), and bytes that are not UTF-8 as U+FFFD. */
function escapeLine(bytes: number[]): string {
  if (bytes[bytes.length - 1] === CARRIAGE_RETURN) bytes = bytes.slice(0, -1);
  const text = Buffer.from(bytes).toString('utf8');
  let escaped = '';
  for (const character of text) {
    const code = character.codePointAt(0) ?? 0;
    escaped += isControl(code) ? `\\x${code.toString(16).padStart(2, '0')}` : character;
  }
  return escaped;
}

/** C0 and C1 controls, and the marks that turn the direction of text around. */
function isControl(code: number): boolean {
  if (code < FIRST_PRINTABLE) return code !== TAB;
  return (code >= DELETE && code < 0xa0) || (code >= 0x202a && code <= 0x202e) || (code >= 0x2066 && code <= 0x2069);
}
