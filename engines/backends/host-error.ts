/** A system call of the host that failed, with its Linux errno (a positive number). */
export class HostError extends Error {
  override readonly name = 'HostError';

  constructor(
    what: string,
    readonly errno: number,
  ) {
    super(`${what} (errno ${errno})`);
  }
}
