// A runner in a process of its own, for tests that kill it: engine-runner.ts URL FOLDER
import { attemptUp, withRetries } from '../../src/engine/apply/migrate.ts';
import { readMigrations } from '../../src/engine/source/source.ts';
import { OPTIONS, targetOf } from './options.ts';

const [url = '', folder = ''] = process.argv.slice(2);
const set = await readMigrations(folder, 'core');
const options = { ...OPTIONS, pace: { ...OPTIONS.pace, retries: 3, lockWait: 60_000 } };
const result = await withRetries(options, () => attemptUp(targetOf(url), set, options));
const peak = process.resourceUsage().maxRSS * 1024;
process.stdout.write(JSON.stringify({ ...result, error: result.error?.message, peak }));
