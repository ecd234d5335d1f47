import { DURATION_FORM, parseDuration } from '../config/duration.ts';
import type { MigrationOptions } from './migration.ts';

const KNOWN = 'known are transaction:false, lock_timeout:5s and statement_timeout:10min';

/** Reads what stands behind a `-- migrate:up` or `-- migrate:down` marker. */
export function parseOptions(words: readonly string[]): {
  options: MigrationOptions;
  complaints: { message: string; hint: string }[];
} {
  const options: MigrationOptions = { transaction: true };
  const complaints: { message: string; hint: string }[] = [];
  const seen = new Set<string>();
  for (const word of words.filter(Boolean)) {
    const colon = word.indexOf(':');
    const key = colon < 0 ? word : word.slice(0, colon);
    const value = colon < 0 ? '' : word.slice(colon + 1);
    const complain = (message: string, hint: string) => complaints.push({ message, hint });
    if (seen.has(key)) complain(`the option ${key} stands there twice`, 'keep one of them');
    seen.add(key);
    if (key === 'transaction') {
      if (value === 'true' || value === 'false') options.transaction = value === 'true';
      else complain(`${word} is no value of transaction`, 'write transaction:false or transaction:true');
    } else if (key === 'lock_timeout' || key === 'statement_timeout') {
      const ms = value === '' ? undefined : parseDuration(value);
      if (ms === undefined) complain(`${word} is no time`, `${key}: is followed by ${DURATION_FORM}`);
      else options[key === 'lock_timeout' ? 'lockTimeout' : 'statementTimeout'] = ms;
    } else {
      complain(`${key} is no option`, KNOWN);
    }
  }
  return { options, complaints };
}
