/** Figures and times as people read them. */

/** Four significant digits, thousands apart: `1 234`, `56.78`, `0.01234`; `–` when absent. */
export function formatFigure(value: number | null): string {
  if (value === null) return '–';
  if (value === 0) return '0';
  const digits = Math.max(0, 3 - Math.floor(Math.log10(Math.abs(value))));
  const [whole, fraction] = value.toFixed(Math.min(digits, 6)).split('.');
  const grouped = whole.replace(/\B(?=(\d{3})+$)/g, ' ');
  return fraction === undefined ? grouped : `${grouped}.${fraction}`;
}

/** `1:23` or `1:02:03`. */
export function formatDuration(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1000));
  const parts = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, seconds % 60];
  const [h, m, s] = parts.map((part) => String(part).padStart(2, '0'));
  return parts[0] > 0 ? `${parts[0]}:${m}:${s}` : `${Number(m) + 60 * Number(h)}:${s}`;
}

/** `1 VM x 1 vCPU`. */
export function formatSizeOfCell({ vms, vcpus }: { vms: number; vcpus: number }): string {
  return `${vms} VM${vms === 1 ? '' : 's'} x ${vcpus} vCPU${vcpus === 1 ? '' : 's'}`;
}
