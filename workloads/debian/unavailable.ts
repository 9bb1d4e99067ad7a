/** The packages cannot be had here: a sentence for the user. */
export class PackagesUnavailable extends Error {
  override readonly name = 'PackagesUnavailable';
}
