/** `npm run schema`: writes harness/results.schema.json from the schema in results.ts. */
import { writeFile } from 'node:fs/promises';
import { resultsJsonSchema } from './results.js';

await writeFile(new URL('../../harness/results.schema.json', import.meta.url), resultsJsonSchema());
