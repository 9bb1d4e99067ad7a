/** Splits a byte stream into lines and keeps the last of them, for messages about failures. */

const MAX_LINE = 4096;

export class LineTail {
  private readonly kept: string[] = [];
  private partial = '';

  /** `onLine` gets each complete line without its end (`\n` or `\r\n`). Longer ones than 4096 characters are cut into pieces. */
  constructor(
    private readonly keep: number,
    private readonly onLine?: (line: string) => void,
  ) {}

  push(chunk: Uint8Array | string): void {
    this.partial += typeof chunk === 'string' ? chunk : Buffer.from(chunk).toString('latin1');
    let start = 0;
    for (;;) {
      const newline = this.partial.indexOf('\n', start);
      const end = newline === -1 || newline - start > MAX_LINE ? start + MAX_LINE : newline;
      if (newline === -1 && this.partial.length - start <= MAX_LINE) break;
      this.line(this.partial.slice(start, end));
      start = end === newline ? end + 1 : end;
    }
    this.partial = this.partial.slice(start);
  }

  private line(text: string): void {
    const line = text.endsWith('\r') ? text.slice(0, -1) : text;
    this.kept.push(line);
    if (this.kept.length > this.keep) this.kept.shift();
    this.onLine?.(line);
  }

  /** The last lines, an unfinished one included; control characters are made visible. */
  lines(): string[] {
    const all = this.partial === '' ? this.kept : [...this.kept, this.partial].slice(-this.keep);
    return all.map(printable);
  }
}

/** A guest may send anything; a terminal or a report must not be steered by it. */
function printable(text: string): string {
  return text.replace(/[^\t\x20-\x7e]/g, (c) => `\\x${c.charCodeAt(0).toString(16).padStart(2, '0')}`);
}
