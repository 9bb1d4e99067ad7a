/** Finds the host's own source of Debian's main archive, and turns it to another suite. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { PackagesUnavailable } from './unavailable.js';

/** One source in deb822 format (sources.list(5)), for `suite`. folder: where apt keeps its configuration. */
export function debianSource(suite: string, folder = '/etc/apt', release = '/etc/os-release'): string {
  const codename = /^VERSION_CODENAME=(\S+)$/m.exec(existsSync(release) ? readFileSync(release, 'utf8') : '')?.[1];
  const entry = sourceFiles(folder)
    .flatMap(({ file, text }) => (file.endsWith('.sources') ? stanzas(text) : lines(text)))
    .find(
      ({ suites, components }) => codename !== undefined && suites.includes(codename) && components.includes('main'),
    );
  if (entry === undefined) {
    throw new PackagesUnavailable(
      `no source of Debian ${codename ?? ''} in ${folder}: Debian's packages need a Debian host`,
    );
  }
  const keys = entry.signedBy === undefined ? [] : [`Signed-By: ${entry.signedBy}`];
  return ['Types: deb', `URIs: ${entry.uri}`, `Suites: ${suite}`, 'Components: main', ...keys, ''].join('\n');
}

interface Entry {
  uri: string;
  suites: string[];
  components: string[];
  signedBy?: string;
}

function sourceFiles(folder: string): { file: string; text: string }[] {
  const parts = join(folder, 'sources.list.d');
  const names = existsSync(parts) ? readdirSync(parts).sort() : [];
  const files = [join(folder, 'sources.list'), ...names.map((name) => join(parts, name))];
  return files
    .filter((file) => existsSync(file) && /\.(list|sources)$/.test(file))
    .map((file) => ({ file, text: readFileSync(file, 'utf8') }));
}

/** deb822: fields of paragraphs; a comment line may stand anywhere. */
function stanzas(text: string): Entry[] {
  const plain = text.replaceAll(/^#.*\n?/gm, '');
  return plain.split(/\n\s*\n/).flatMap((stanza) => {
    const field = (name: string) => new RegExp(`^${name}:[ \\t]*(.*(?:\\n[ \\t].*)*)`, 'im').exec(stanza)?.[1].trim();
    const uri = field('URIs')?.split(/\s+/)[0];
    if (uri === undefined || !words(field('Types')).includes('deb')) return [];
    const signedBy = field('Signed-By');
    const entry = { uri, suites: words(field('Suites')), components: words(field('Components')) };
    // A key that stands in the file itself is indented text, and must stay so.
    return [signedBy === undefined ? entry : { ...entry, signedBy: signedBy.replaceAll(/\n\s*/g, '\n ') }];
  });
}

/** The older format: `deb [options] uri suite component…`. */
function lines(text: string): Entry[] {
  return text.split('\n').flatMap((line) => {
    const match = /^\s*deb\s+(?:\[([^\]]*)\]\s+)?(\S+)\s+(\S+)\s+(.*)$/.exec(line);
    if (match === null) return [];
    const signedBy = /signed-by=(\S+)/.exec(match[1] ?? '')?.[1];
    const entry = { uri: match[2], suites: [match[3]], components: words(match[4]) };
    return [signedBy === undefined ? entry : { ...entry, signedBy }];
  });
}

const words = (text = ''): string[] => text.split(/\s+/).filter((word) => word !== '');
