/** Report files from a results file alone: one function a format, all written to one folder. */
import { join } from 'node:path';
import { writeFileAtomically } from '../harness/atomic-file.js';
import { makeFolder } from '../harness/make-folder.js';
import type { ReportFormat } from '../harness/report-formats.js';
import type { Results } from '../harness/results.js';
import { cellsCsv, countersCsv, samplesCsv } from './csv.js';
import { renderPage } from './html/page.js';
import { renderMarkdown } from './markdown.js';
import { renderPictures } from './png.js';

export { renderCounters, renderTable } from './table.js';

interface ReportFile {
  name: string;
  content: string | Buffer;
}

const FORMATS: Record<ReportFormat, (results: Results) => ReportFile[]> = {
  html: (results) => [{ name: 'report.html', content: renderPage(results) }],
  png: (results) => renderPictures(results).map((picture) => ({ name: picture.name, content: picture.png })),
  csv: (results) => [
    { name: 'cells.csv', content: cellsCsv(results) },
    { name: 'samples.csv', content: samplesCsv(results) },
    { name: 'counters.csv', content: countersCsv(results) },
  ],
  md: (results) => [{ name: 'report.md', content: renderMarkdown(results) }],
};

/**
 * Writes the reports into a folder, which is made where it is missing.
 * @returns the paths written
 * @throws Error of the file system (no space, no permission)
 */
export async function writeReports(
  results: Results,
  formats: readonly ReportFormat[],
  folder: string,
): Promise<string[]> {
  await makeFolder(folder);
  const files = formats.flatMap((format) => FORMATS[format](results));
  const paths = files.map((file) => join(folder, file.name));
  await Promise.all(files.map((file, i) => writeFileAtomically(paths[i] as string, file.content)));
  return paths;
}
