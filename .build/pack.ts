/** What only the published package holds: the JSON Schemas, which take longer to make than all the rest. */
import { join } from 'node:path';
import { schemas } from './schemas.ts';

const root = join(import.meta.dirname, '..');
await schemas(root, join(root, 'dist/schemas'));
