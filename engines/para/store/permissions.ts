/** Permissions as text, as Xen's tools write them: "n1\0r2\0b3": owner and what all others may, then single domains. */
import { PARA_STORE_PERMS } from '../abi.js';
import { MAX_DOMAINS } from '../hypervisor-memory.js';
import { MAY_READ, MAY_WRITE, type Permissions } from './entries.js';

const LETTERS = ['n', 'r', 'w', 'b'] as const;
const ITEM = /^([nrwb])(\d{1,3})$/;

export interface OwnedPermissions extends Permissions {
  owner: number;
}

export function permissionsText({ owner, all, some }: OwnedPermissions): string {
  const items = [{ domain: owner, may: all }, ...some];
  return items.map(({ domain, may }) => `${LETTERS[may & (MAY_READ | MAY_WRITE)]}${domain}`).join('\0');
}

/** undefined: the text is malformed, or names too many or no domains. */
export function parsePermissions(text: string): OwnedPermissions | undefined {
  const items = text.split('\0').map((item) => {
    const match = ITEM.exec(item);
    return match === null ? undefined : { domain: Number(match[2]), may: LETTERS.indexOf(match[1] as 'n') };
  });
  const [first, ...some] = items;
  if (first === undefined || some.length > PARA_STORE_PERMS) return undefined;
  const named = some.filter((item) => item !== undefined && item.domain >= 1 && item.domain < MAX_DOMAINS);
  if (named.length !== some.length) return undefined;
  return { owner: first.domain, all: first.may, some: named as Permissions['some'] };
}
