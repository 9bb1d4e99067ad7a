import { mkdirSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { dirname, join } from 'node:path';
import { compile, inParallel } from './compiler.js';
import { glob } from './glob.js';
import { COMMON_FLAGS, type Image, type Link } from './ports.js';

/** Pattern of a source that the port still lacks, or undefined when all are there. */
export function missingSource(workloads: string, image: Image): string | undefined {
  return image.links.flatMap((link) => link.required).find((pattern) => glob(workloads, [pattern]).length === 0);
}

/** The flags that distinguish an image, as recorded in the manifest. No paths of this machine. */
export function flagsOf(image: Image): string[] {
  const links = image.links.flatMap((link) => [...link.compile, ...link.link]);
  return [`--target=${image.target}`, ...COMMON_FLAGS, ...new Set(links)];
}

function compileFlags(image: Image, link: Link, folder: string): string[] {
  const embed = link.embeds ? [`-D${link.embeds.macro}="${join(folder, link.embeds.output)}"`] : [];
  // Where the build runs must not show in the result.
  return [`--target=${image.target}`, ...COMMON_FLAGS, `-ffile-prefix-map=${folder}=.`, ...link.compile, ...embed];
}

async function compileAndLink(workloads: string, image: Image, link: Link, folder: string): Promise<string> {
  const flags = compileFlags(image, link, folder);
  const objects = await inParallel(glob(workloads, link.sources), availableParallelism(), async (source) => {
    const object = join(folder, 'objects', link.output, `${source}.o`);
    mkdirSync(dirname(object), { recursive: true });
    await compile([...flags, '-c', source, '-o', object], workloads);
    return object;
  });
  const output = join(folder, link.output);
  const scripts = (link.linkInputs ?? []).flatMap((script) => ['-T', script]);
  await compile(
    [`--target=${image.target}`, ...link.compile, ...link.link, ...scripts, ...objects, '-o', output],
    workloads,
  );
  return output;
}

/** Builds the image in an empty folder of its own; returns the path of the result there. */
export async function buildImage(workloads: string, image: Image, folder: string): Promise<string> {
  let result = '';
  for (const link of image.links) result = await compileAndLink(workloads, image, link, folder);
  return result;
}
