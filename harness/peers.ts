/**
 * Peers: another make of the same thing, whose figures an engine's are also held against, pair by pair as bare metal's.
 * Both run the same guest image on the same devices, so the ratio makes sense for every workload, os/… included.
 */
const PEER_OF: Readonly<Record<string, string>> = { full: 'qemu', 'full-virtio': 'qemu-virtio' };

/** The peer of an engine; undefined: it has none. */
export function peerOf(engine: string): string | undefined {
  return PEER_OF[engine];
}
