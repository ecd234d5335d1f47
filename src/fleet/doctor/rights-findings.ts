import { placeOf } from '../../postgres/connect.ts';
import { identifier } from '../../postgres/quote.ts';
import { type DatabaseSetting, promisesDatabase, type ServerFacts } from './examine.ts';
import { justEnough, type Rights } from './rights.ts';
import { templatePrefix } from '../../tenants/create/template.ts';
import { type Add, addEach, quoted, SHOWN } from './findings.ts';
import type { Listed } from './tenant-findings.ts';

/** Rights beyond need (engine 36), and settings that keep sessions from writing (engine 50). */
export function judgeRights(about: string, rights: Rights, add: Add): void {
  const { user, bootstrap, attributes, groups, readOnly } = rights;
  const beyond = [
    ...(attributes.includes('superuser') ? ['is a superuser'] : attributes.map((name) => `has ${name}`)),
    ...groups.map((name) => `is in "${name}", which is equivalent to a superuser`),
  ];
  if (beyond.length) {
    const other = bootstrap ? ' (the server was initialized with this user; see docs/security.md)' : '';
    add(
      about,
      'warning',
      `"${user}" ${beyond.join(', ')}: more than it needs`,
      `A role with least privilege: ${justEnough(rights)}${other}`,
    );
  } else add(about, 'ok', `"${user}" has only the permissions that it needs`);
  for (const { where, mend } of readOnly.slice(0, SHOWN)) {
    const why = "migrations can still write, but application sessions can't";
    add(about, 'warning', `default_transaction_read_only is set by ${where}: ${why}`, mend);
  }
  const more = readOnly.length - SHOWN;
  if (more > 0) {
    add(about, 'warning', `${more} more set default_transaction_read_only`, readOnly[SHOWN]?.mend);
  }
}

/** Databases of ours that every login of the server may connect to, and hold locks in (engine 36). */
export async function judgeConnect(
  { config, tenants, pooled }: Listed,
  servers: ReadonlyMap<string, ServerFacts>,
  groups: readonly string[][],
  add: Add,
): Promise<void> {
  const { database: central } = await placeOf(config.central.url);
  const prefix = templatePrefix(config);
  for (const names of groups) {
    const [server = ''] = names;
    const rows = [...tenants.filter(promisesDatabase), ...pooled].filter((row) => names.includes(row.server));
    const ours = new Set(rows.map(({ database }) => database));
    if (names.includes('default')) ours.add(central);
    const open = (servers.get(server)?.databases ?? [])
      .filter(
        ({ name, everybody, valid }) => everybody && valid && (ours.has(name) || name.startsWith(prefix)),
      )
      .map(({ name }) => name);
    if (open.length === 0) continue;
    const list = open.slice(0, SHOWN).map(identifier).join(', ');
    const others = open.length > SHOWN ? ' To list the others: mpm-migrate doctor --json' : '';
    const { connect } = config.databases;
    const grant = connect.length
      ? ` grant connect on database ${list} to ${connect.map(identifier).join(', ')};`
      : '';
    const first = connect.length
      ? ''
      : ' Grant connect to every other role that needs it, and list those roles in databases.connect.';
    const count = open.length === 1 ? 'a database' : `${open.length} databases`;
    add(
      `server ${server}`,
      'warning',
      `every role can connect to ${count} of this fleet, and hold locks there: ${quoted(open)}`,
      `revoke connect, temporary on database ${list} from public;${grant}${first}${others}`,
      open,
    );
  }
}

/**
 * Tenants' databases that decide for a session whom it acts as, or where names are found. Our own statements go by
 * neither; migrations do, and the sessions of an application (engine 33, 34).
 */
export function judgeSettings(
  { tenants }: Listed,
  servers: ReadonlyMap<string, ServerFacts>,
  groups: readonly string[][],
  add: Add,
): void {
  for (const names of groups) {
    const [server = ''] = names;
    const facts = servers.get(server);
    if (!facts) continue;
    const rows = tenants.filter((row) => names.includes(row.server) && promisesDatabase(row));
    const ours = new Set(rows.map(({ database }) => database));
    const alike = new Map<string, { set: DatabaseSetting; databases: string[] }>();
    for (const { name, sets } of facts.databases.filter((database) => ours.has(database.name))) {
      for (const set of sets) {
        const key = JSON.stringify(set);
        const known = alike.get(key) ?? { set, databases: [] };
        alike.set(key, known);
        known.databases.push(name);
      }
    }
    addEach(
      [...alike.values()],
      ({ databases }) => databases.join(', '),
      ({ set, databases }) => {
        const whose = set.login ? `for "${facts.user}"` : 'for whoever connects';
        const [first = ''] = databases;
        const where = set.login ? `role ${identifier(facts.user)} in ` : '';
        const others = databases.length > 1 ? ' The same for the others.' : '';
        add(
          `server ${server}`,
          'warning',
          `${set.name} is set to ${set.value} ${whose} in ${quoted(databases)}: ${effectOf(set)}`,
          `Unless this is intended: alter ${where}database ${identifier(first)} reset ${set.name};${others}`,
          databases,
        );
      },
      (count, more) =>
        add(
          `server ${server}`,
          'warning',
          `role or search_path is set in ${count} more ways`,
          'mpm-migrate doctor --json',
          more,
        ),
    );
  }
}

function effectOf({ name, login }: DatabaseSetting): string {
  if (name === 'search_path') return 'migrations resolve names without a schema there';
  return login
    ? 'work there is done as that role'
    : 'our own statements ignore it, but application sessions use that role';
}
