import { identifier } from './quote.ts';

/** What the settings of a session depend on. */
export interface SettingsFacts {
  /** The server's major version. */
  version: number;
  /** A hot standby, whose transactions cannot be made writing ones. */
  standby: boolean;
  /** The role that is set on the login; none: the login itself is the role. */
  role: string | undefined;
}

/**
 * What pg needs in order to read values right: it understands no other format (engine 49). Held around every
 * statement, whoever wrote it.
 */
const FORMATS = [
  // Only the output style: whether 1/2 is in January or in February stays the user's own.
  ['datestyle', 'iso'],
  ['intervalstyle', 'postgres'],
  ['bytea_output', 'hex'],
  ['extra_float_digits', '1'],
  ['standard_conforming_strings', 'on'],
  ['client_encoding', 'utf8'],
] as const;

// Short, because pg_stat_activity shows the first kilobyte of a message: who looks there looks for what comes behind.
const setLocal = (name: string, value: string) => `set local ${name}=${value}`;

/** `none` is the login, whatever role the database sets for whoever connects (engine 34). */
const roleSql = (role: string | undefined) => (role === undefined ? 'none' : identifier(role));

/**
 * What our statements mean depends on nothing but us: names are looked up where no tenant can write, policies are
 * errors (engine 33, 49). SET LOCAL, because session-level settings leak to strangers behind a pooler (engine 15), and
 * SET rather than `set_config`, because that takes a snapshot, after which a transaction's mode cannot be changed.
 */
function meaning(facts: SettingsFacts): string[] {
  return [
    ...names(facts),
    ...FORMATS.map(([name, value]) => setLocal(name, value)),
    setLocal('timezone', "'UTC'"),
  ];
}

const names = ({ role }: SettingsFacts) => [
  setLocal('search_path', 'pg_catalog,pg_temp'),
  setLocal('role', roleSql(role)),
  setLocal('row_security', 'off'),
];

const NO_TIMEOUTS = [setLocal('lock_timeout', '0'), setLocal('statement_timeout', '0')];

/** Unlike the other time-outs it goes on through all messages of a transaction. */
const noTransactionTimeout = ({ version }: SettingsFacts) =>
  version >= 17 ? [setLocal('transaction_timeout', '0')] : [];

/** The statements in front of a message of ours that is part of a transaction of ours. */
export function ownSettings(facts: SettingsFacts): string[] {
  return [...meaning(facts), ...NO_TIMEOUTS];
}

/** The same where the message begins a transaction, which reads and writes at READ COMMITTED unless it says more. */
export function openingSettings(facts: SettingsFacts): string[] {
  return [
    ...ownSettings(facts),
    setLocal('idle_in_transaction_session_timeout', '0'),
    ...noTransactionTimeout(facts),
    setLocal('transaction_isolation', "'read committed'"),
    ...(facts.standby ? [] : [setLocal('transaction_read_only', 'off')]),
  ];
}

/** The same behind statements that are not ours, for what only records: it reads no values, and returns none. */
export function closingSettings(facts: SettingsFacts): string[] {
  return [...names(facts), ...NO_TIMEOUTS];
}

/** The same behind a BEGIN with a mode, where time-outs of its own follow. */
export function settingsBehindBegin(facts: SettingsFacts): string[] {
  return [...meaning(facts), ...noTransactionTimeout(facts)];
}

/** Names are found as the session finds them. */
export const SESSION_PATH = 'set local search_path to default';

/**
 * Behind {@link ownSettings}, for statements that are not ours: they find names, see rows and tell the time as their
 * session does. The formats and the role stay.
 */
export const SESSION_SETTINGS: readonly string[] = [
  SESSION_PATH,
  'set local row_security to default',
  'set local timezone to default',
];

/**
 * A statement that sets for the whole session what SET LOCAL cannot, where that is safe: not behind a pooler, which
 * shows as another backend than the one that we were told at connect. It finds nothing in a path.
 */
function sessionSettings(settings: readonly (readonly [name: string, value: string])[], pid: number): string {
  const each = settings.map(([name, value]) => `pg_catalog.set_config('${name}', '${value}', false)`);
  return `select ${each.join(', ')} where pg_catalog.pg_backend_pid() operator(pg_catalog.=) ${pid}`;
}

const alone = (statement: string) => `begin;\n${statement};\ncommit`;

/** Its statements: BEGIN, SELECT, COMMIT. */
export const SESSION_STATEMENTS = 3;

/** `idle_session_timeout` counts between transactions, where no SET LOCAL reaches. */
export function keepIdleSession(pid: number): string {
  return alone(sessionSettings([['idle_session_timeout', '0']], pid));
}

/** For statements that must stand alone, as CREATE DATABASE, and so can have nothing in front of them. */
export function holdSession(facts: SettingsFacts, pid: number): string {
  return alone(heldSettings(facts, pid));
}

/** The same, as a statement of a transaction. */
export function heldSettings({ version, role }: SettingsFacts, pid: number): string {
  return sessionSettings(
    [
      ['idle_session_timeout', '0'],
      ['default_transaction_read_only', 'off'],
      ['lock_timeout', '0'],
      ['statement_timeout', '0'],
      ...(version >= 17 ? ([['transaction_timeout', '0']] as const) : []),
      ['role', (role ?? 'none').replaceAll("'", "''")],
      ...FORMATS,
    ],
    pid,
  );
}
