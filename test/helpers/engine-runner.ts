// A runner in a process of its own, for tests that kill it: engine-runner.ts URL FOLDER. Twenty at once take their time.
import { attemptUp, withRetries } from '../../src/engine/apply/migrate.ts';
import { readMigrations } from '../../src/engine/source/source.ts';
import { OPTIONS, targetOf } from './options.ts';

const [url = '', folder = ''] = process.argv.slice(2);
const set = await readMigrations(folder, 'core');
const pace = { ...OPTIONS.pace, retries: 10, lockTimeout: 10_000, lockWait: 60_000, connectTimeout: 60_000 };
const options = { ...OPTIONS, pace };
const result = await withRetries(options, () =>
  attemptUp({ ...targetOf(url), connectTimeout: 60_000 }, set, options),
);
const peak = process.resourceUsage().maxRSS * 1024;
process.stdout.write(JSON.stringify({ ...result, error: result.error?.message, peak }));
