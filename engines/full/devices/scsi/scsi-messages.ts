/** What is said on a SCSI bus besides commands and data: its phases, and the messages of initiator and target (SCSI-2, chapter 6). */

/** Bus phases: MSG, C/D, I/O. */
export const PHASE = { DATA_OUT: 0, DATA_IN: 1, COMMAND: 2, STATUS: 3, MESSAGE_OUT: 6, MESSAGE_IN: 7 } as const;
export const MESSAGE = {
  COMMAND_COMPLETE: 0x00,
  EXTENDED: 0x01,
  SAVE_DATA_POINTER: 0x02,
  DISCONNECT: 0x04,
  ABORT: 0x06,
  REJECT: 0x07,
  NOP: 0x08,
  BUS_DEVICE_RESET: 0x0c,
  ABORT_TAG: 0x0d,
  CLEAR_QUEUE: 0x0e,
  SIMPLE_TAG: 0x20,
  ORDERED_TAG: 0x22,
  IDENTIFY: 0x80,
} as const;
/** Of extended messages (SCSI-2, 6.6.21 and 6.6.22). */
const EXTENDED = { SYNCHRONOUS: 0x01, WIDE: 0x03 } as const;

/** Those that end commands and free the bus. */
const ENDINGS: ReadonlySet<number> = new Set([
  MESSAGE.DISCONNECT,
  MESSAGE.ABORT,
  MESSAGE.BUS_DEVICE_RESET,
  MESSAGE.ABORT_TAG,
  MESSAGE.CLEAR_QUEUE,
]);

/** What an initiator said in one MESSAGE OUT phase; what it did not say is absent. */
export interface MessagesOut {
  /** IDENTIFY: the unit meant, and whether the target may disconnect. */
  identify?: { lun: number; mayDisconnect: boolean };
  /** A queue tag; `untagged` where the phase ended before its second byte. */
  tag?: number;
  /** The message that ends commands and frees the bus: nothing behind it is heard. */
  ending?: number;
  /** Some message was none that is known here. */
  rejected: boolean;
  /** What the target says to the last extended message. */
  answer?: readonly number[];
}

/** Takes all of the bytes, each read once. */
export function readMessages(buffer: Uint8Array, offset: number, count: number, untagged: number): MessagesOut {
  const said: MessagesOut = { rejected: false };
  const end = offset + count;
  for (let at = offset; at < end; ) {
    const message = buffer[at++];
    if (message & MESSAGE.IDENTIFY) {
      said.identify = { lun: message & 7, mayDisconnect: (message & 0x40) !== 0 };
    } else if (message >= MESSAGE.SIMPLE_TAG && message <= MESSAGE.ORDERED_TAG) {
      said.tag = at < end ? buffer[at] : untagged;
      at++;
    } else if (message === MESSAGE.EXTENDED) {
      const length = at < end ? buffer[at] : 0;
      const answer = negotiate(at + 1 < end ? buffer[at + 1] : 0, at + 2 < end ? buffer[at + 2] : 0);
      if (answer === undefined) said.rejected = true;
      else said.answer = answer;
      at += 1 + length;
    } else if (ENDINGS.has(message)) {
      said.ending = message;
      return said;
    } else if (message !== MESSAGE.NOP) {
      said.rejected = true;
    }
  }
  return said;
}

/**
 * The answer to an extended message: asynchronous and 8 bits wide is all that there is here (nothing goes over wires). Offset 0
 * means asynchronous (SCSI-2, 6.6.21). undefined: rejected, as parallel protocol requests (SPI-3) are by targets before Ultra160.
 */
function negotiate(code: number, first: number): readonly number[] | undefined {
  if (code === EXTENDED.SYNCHRONOUS) return [MESSAGE.EXTENDED, 3, EXTENDED.SYNCHRONOUS, first, 0];
  if (code === EXTENDED.WIDE) return [MESSAGE.EXTENDED, 2, EXTENDED.WIDE, 0];
  return undefined;
}
