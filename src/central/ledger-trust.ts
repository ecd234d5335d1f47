import { isSuperuser } from '../migration/trust.ts';
import { LEDGER_HISTORY } from './migrations/ledger.ts';

/** What was found of the ledger's owner, and of what is not as `central up` made it. */
export interface LedgerOwner {
  owner: string;
  /** In words; null when all is well. */
  flaw: string | null;
}

/** What the ledger's tables have of their own. */
const OWN_TRIGGER = 'forget_run_tenants';

/**
 * Whose the ledger is, and whether its tables run anybody else's code when they are read or written (engine 33, 34).
 * The tables of the list of companies are the application's, whose triggers must run.
 */
export const SELECT_LEDGER_OWNER = `select pg_catalog.pg_get_userbyid(n.nspowner)::text as owner, (
  select case when c.relkind <> 'r' then pg_catalog.format('%s is no ordinary table', c.relname)
    when c.relrowsecurity then pg_catalog.format('%s has row security', c.relname)
    when c.relhasrules and exists (select from pg_catalog.pg_rewrite r where r.ev_class = c.oid) then pg_catalog.format('%s has a rule', c.relname)
    else pg_catalog.format('%s belongs to "%s", or has triggers that are not its own', c.relname, pg_catalog.pg_get_userbyid(c.relowner)) end
  from pg_catalog.pg_class c where c.relnamespace = n.oid and c.relkind in ('r', 'v', 'm', 'f', 'p')
    and c.relname in ('runs', 'run_tenants', 'run_parts', 'pool', '${LEDGER_HISTORY.table}', 'registry_history') and (
      c.relkind <> 'r' or c.relrowsecurity
      or c.relhasrules and exists (select from pg_catalog.pg_rewrite r where r.ev_class = c.oid)
      or c.relowner <> n.nspowner and not ${isSuperuser('c.relowner')} and pg_catalog.pg_get_userbyid(c.relowner) <> session_user
      or c.relhastriggers and exists (select from pg_catalog.pg_trigger t join pg_catalog.pg_proc p on p.oid = t.tgfoid
        where t.tgrelid = c.oid and not t.tgisinternal and (t.tgname <> '${OWN_TRIGGER}' or p.proowner <> c.relowner)))
  order by c.relname limit 1) as flaw
from pg_catalog.pg_namespace n where n.nspname = '${LEDGER_HISTORY.schema}'`;
