import { describe, expect, it } from 'vitest';
import { parseDisk, parseNic, type RunFlags, runRequest } from '#harness/commands/run-options.js';
import { EscapedKeys, forTerminal } from '#harness/terminal.js';
import { UsageError } from '#harness/usage.js';

const FLAGS: RunFlags = {
  engine: 'full',
  kernel: 'vmlinux',
  append: '',
  memory: '512M',
  vcpus: '1',
  disk: [],
  reboot: true,
  counters: false,
  detach: false,
};

describe('virtax run: what the flags ask for', () => {
  it('a kernel alone', () => {
    expect(runRequest(FLAGS)).toEqual({
      kernel: 'vmlinux',
      append: '',
      memoryBytes: 512 * 2 ** 20,
      vcpus: 1,
      disks: [],
      noReboot: false,
      trace: [],
    });
  });

  it('a name for the list of domains, which fits into a line of it', () => {
    expect(runRequest({ ...FLAGS, name: 'web-1' }).name).toBe('web-1');
    for (const name of ['', 'a b', '-x', 'a\nb', 'x'.repeat(64)]) {
      expect(() => runRequest({ ...FLAGS, name })).toThrow(UsageError);
    }
  });

  it('everything', () => {
    const disk = ['a.img,if=virtio', 'b.iso,if=scsi,media=cdrom,readonly'];
    const flags = {
      ...FLAGS,
      bios: 'fw',
      initrd: 'rd',
      disk,
      net: 'user,model=e1000',
      reboot: false,
      trace: 'irq,mmio',
    };
    expect(runRequest(flags)).toMatchObject({
      bios: 'fw',
      initrd: 'rd',
      disks: [
        { path: 'a.img', interface: 'virtio', readonly: false, media: 'disk' },
        { path: 'b.iso', readonly: true, media: 'cdrom' },
      ],
      nic: { mode: 'user', model: 'e1000' },
      noReboot: true,
      trace: ['irq', 'mmio'],
    });
  });

  it('a comma in a file name is written twice; the engine chooses the bus', () => {
    expect(parseDisk('a,,b.img,readonly=on')).toEqual({
      path: 'a,b.img',
      readonly: true,
      media: 'disk',
    });
  });

  it.each<[string, () => unknown, RegExp]>([
    ['no file', () => parseDisk(',if=scsi'), /names no file/],
    ['an interface that is none', () => parseDisk('a,if=ide'), /if=ide.*scsi, virtio/],
    ['an option that is none', () => parseDisk('a,read-only'), /read-only.*did you mean readonly/],
    ['a CD-ROM that is not SCSI', () => parseDisk('a,media=cdrom,if=virtio'), /SCSI/],
    ['a mode that is none', () => parseNic('tap'), /tap.*user, switch/],
    ['a model that is none', () => parseNic('user,model=ne2k'), /ne2k.*e1000/],
    ['a forwarded port that is none', () => parseNic('user,hostfwd=tcp::99999-:22'), /99999.*tcp::2222-:22/],
    ['forwarded ports without a user network', () => parseNic('switch,hostfwd=tcp::2222-:22'), /user,hostfwd/],
    [
      'a RAM disk without a kernel',
      () => runRequest({ ...FLAGS, kernel: undefined, bios: 'x', initrd: 'y' } as never),
      /--initrd/,
    ],
    ['memory in odd bytes', () => runRequest({ ...FLAGS, memory: '5000' }), /multiple of 4096/],
    ['a trace that is none', () => runRequest({ ...FLAGS, trace: 'irq,dma' }), /dma.*exits, irq, mmio/],
  ])('%s', (_name, parse, message) => {
    expect(parse).toThrow(UsageError);
    expect(parse).toThrow(message);
  });
});

describe('keys of the terminal', () => {
  const keys = (...chunks: string[]) => {
    let [typed, left] = ['', 0];
    const escaped = new EscapedKeys(
      (bytes) => {
        typed += Buffer.from(bytes).toString('latin1');
      },
      () => left++,
    );
    for (const chunk of chunks) escaped.take(Buffer.from(chunk, 'latin1'));
    return [typed, left];
  };

  it('Ctrl-A x leaves, also in two pieces; Ctrl-A Ctrl-A is one; others are swallowed', () => {
    expect(keys('ab\x03')).toEqual(['ab\x03', 0]);
    expect(keys('a\x01', 'x')).toEqual(['a', 1]);
    expect(keys('\x01\x01x')).toEqual(['\x01x', 0]);
    expect(keys('\x01cz')).toEqual(['z', 0]);
  });
});

describe('output for a terminal', () => {
  /** ONLCR, as termios(3) describes it. */
  const terminal = (text: string) => text.replaceAll('\n', '\r\n');
  const shown = (text: string) => terminal(Buffer.from(forTerminal(Buffer.from(text, 'latin1'))).toString('latin1'));

  it.each([
    ['of a guest that ends lines in CR LF', 'one\r\ntwo\r\n'],
    ['of a guest that ends them in LF', 'one\ntwo\n'],
    ['of one that does both', 'one\ntwo\r\n'],
  ])('%s has one carriage return a line', (_, text) => {
    expect(shown(text)).toBe('one\r\ntwo\r\n');
  });

  it('keeps those that go back to the line’s start, also at the end of a piece', () => {
    expect(shown('10 %\r20 %\r')).toBe('10 %\r20 %\r');
  });
});
