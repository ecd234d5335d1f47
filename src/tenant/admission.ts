import { tenantProblem } from '../central/problem.ts';
import type { Tenant } from '../central/tenant.ts';
import type { Config } from '../config/define.ts';
import { MpmError } from '../errors.ts';
import { idWord } from '../shell-word.ts';

const THEIRS = 'Its row in the central database says so.';

/**
 * Why an application gets no session of a tenant; undefined when it does.
 * @returns TENANT_SUSPENDED, TENANT_NOT_READY, or what is wrong with its row
 */
export function refusalOf(tenant: Tenant, config: Config): MpmError | undefined {
  const { id, name, status, reason } = tenant;
  const who = name ? `${name} (${id})` : `tenant ${id}`;
  const why = reason ? `: ${reason}` : '';
  const subject = name || id;
  const ours = 'builtIn' in config.tenants;
  switch (status) {
    case 'active':
      return tenantProblem(tenant, config);
    case 'provisioning':
    case 'failed':
      return new MpmError('TENANT_NOT_READY', `${who} is half-provisioned${why}`, {
        subject,
        hint: ours ? `mpm-migrate tenant create --resume ${idWord(id)}` : THEIRS,
      });
    case 'hold':
      return new MpmError('TENANT_SUSPENDED', `${who} is on hold${why}`, {
        subject,
        hint: ours ? `mpm-migrate tenant release ${idWord(id)}` : THEIRS,
      });
    default:
      return new MpmError('TENANT_SUSPENDED', `${who} is not active (${status})${why}`, {
        subject,
        hint: THEIRS,
      });
  }
}

/** The tenant's head is older than what an application asks for. */
export function behindError({ id, name }: Tenant, head: string | null, atLeast: string): MpmError {
  const who = name ? `${name} (${id})` : `tenant ${id}`;
  const where = head === null ? 'has no migrations' : `is at ${head}`;
  return new MpmError('TENANT_BEHIND', `${who} ${where}; this release needs ${atLeast}`, {
    subject: name || id,
    hint: `mpm-migrate up --tenant ${idWord(id)}`,
  });
}
