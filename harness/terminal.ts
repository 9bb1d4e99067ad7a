/** The terminal as a machine's console: raw, every key goes to the guest, Ctrl-A x ends. */

const CTRL_A = 0x01;
const KEY_X = 0x78;

export interface Terminal {
  /** The user wants to leave: Ctrl-A x. */
  readonly quit: Promise<void>;
  /** Gives the terminal back as it was. */
  release(): void;
}

/** typed: bytes for the guest. Ctrl-A counts in a pipe too, as with QEMU; the end of the input does not end the machine. */
export function attachTerminal(typed: (bytes: Uint8Array) => void, input: NodeJS.ReadStream = process.stdin): Terminal {
  const raw = input.isTTY === true;
  if (raw) input.setRawMode(true);
  let leave: () => void = () => {};
  const quit = new Promise<void>((resolve) => {
    leave = resolve;
  });
  const keys = new EscapedKeys(typed, () => leave());
  const listener = (chunk: Buffer) => keys.take(chunk);
  input.on('data', listener);
  return {
    quit,
    release() {
      input.off('data', listener);
      if (raw) input.setRawMode(false);
      input.pause();
      input.unref?.(); // a pipe that stays open must not keep the finished command
    },
  };
}

/** Ctrl-A is the escape, as in QEMU: x leaves, another Ctrl-A sends one; anything else is swallowed with it. */
export class EscapedKeys {
  #escaped = false;

  constructor(
    private readonly typed: (bytes: Uint8Array) => void,
    private readonly leave: () => void,
  ) {}

  take(chunk: Uint8Array): void {
    const bytes: number[] = [];
    for (const key of chunk) {
      const command = this.#escaped;
      this.#escaped = !command && key === CTRL_A;
      if (command && key === KEY_X) this.leave();
      if (command ? key === CTRL_A : key !== CTRL_A) bytes.push(key);
    }
    if (bytes.length > 0) this.typed(Uint8Array.from(bytes));
  }
}

const CARRIAGE_RETURN = 0x0d;
const LINE_FEED = 0x0a;

/**
 * A guest's output for a terminal, which puts a carriage return before each line feed (ONLCR, termios(3)), raw or not: Node
 * cannot turn that off, and guests that send bare line feeds rely on it. So the guest's own ones are left out there, or
 * lines would end in two. One that is the last of a piece goes out: it may be a progress bar's.
 */
export function forTerminal(bytes: Uint8Array): Uint8Array {
  return bytes.filter((byte, i) => byte !== CARRIAGE_RETURN || bytes[i + 1] !== LINE_FEED);
}
