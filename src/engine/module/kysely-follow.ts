import {
  Command,
  ConnectionBuilder,
  ControlledTransactionBuilder,
  Kysely,
  SchemaModule,
  TransactionBuilder,
} from 'kysely';
import { MpmError } from '../../errors.ts';
import type { Statements } from './kysely-statements.ts';

/** What of a Kysely begins a statement. Of its `schema` everything does, but for `withSchema` and the like. */
const BEGIN: ReadonlySet<string> = new Set([
  'selectFrom',
  'selectNoFrom',
  'insertInto',
  'replaceInto',
  'deleteFrom',
  'updateTable',
  'mergeInto',
  'with',
  'withRecursive',
]);

export const NOT_KYSELY =
  "A TypeScript or JavaScript migration gets Kysely's db, not Knex's or another tool's.";

/** What leads from one Kysely to another. */
const LEADING = [
  Kysely,
  SchemaModule,
  TransactionBuilder,
  ControlledTransactionBuilder,
  ConnectionBuilder,
  Command,
];

/** Functions that are no methods. */
const AS_IT_IS: ReadonlySet<string> = new Set(['constructor', 'fn']);

/** What is read of anything, to see what it is. */
const PROBED: ReadonlySet<string> = new Set(['then', 'toJSON']);

/** The same Kysely for a module to work with: what it begins is followed, and what Kysely lacks is noted. */
export function followKysely(db: Kysely<unknown>, statements: Statements): Kysely<unknown> {
  return new Follower(statements).follow(db);
}

class Follower {
  readonly #statements: Statements;

  constructor(statements: Statements) {
    this.#statements = statements;
  }

  follow<T>(value: T): T {
    if (value instanceof Promise) return value.then((each: unknown) => this.follow(each)) as T;
    if (!LEADING.some((leading) => value instanceof leading)) return value;
    return new Proxy(value as T & object, {
      get: (target, key) => this.#member(target, key),
    });
  }

  #member(target: object, key: string | symbol): unknown {
    const member: unknown = Reflect.get(target, key, target);
    if (typeof key === 'symbol' || AS_IT_IS.has(key)) return member;
    const owner = target instanceof SchemaModule ? 'schema.' : '';
    if (member === undefined && !(key in target) && !PROBED.has(key))
      this.#statements.missing.push(`${owner}${key}`);
    if (typeof member !== 'function') return this.follow(member);
    const call = (...args: unknown[]): unknown => {
      if (!begins(target, key)) {
        if (key === 'executeQuery') this.#statements.know(args[0], key, call);
        return this.follow(
          Reflect.apply(
            member,
            target,
            args.map((arg) => this.#followedCallback(arg)),
          ),
        );
      }
      const [name] = args;
      const what = `${owner}${key}(${typeof name === 'string' ? `'${name}'` : ''})`;
      if (owner && args.some((arg) => typeof arg === 'function'))
        this.#refuse(`${owner}${key} with a function`);
      const followed = target.withPlugin(this.#statements.begin(what, call));
      return Reflect.apply(Reflect.get(followed, key) as typeof member, followed, args);
    };
    return call;
  }

  /** It counts also where the module catches it. */
  #refuse(what: string): never {
    const error = new MpmError('MIGRATION_FAILED', `${what} is not Kysely's`, {
      hint: `${NOT_KYSELY} Rewrite it for Kysely, or in SQL.`,
    });
    this.#statements.refused ??= error;
    throw error;
  }

  #followedCallback(value: unknown): unknown {
    if (typeof value !== 'function') return value;
    return (...args: unknown[]): unknown => value(...args.map((arg) => this.follow(arg)));
  }
}

function begins(target: object, key: string): target is Kysely<unknown> | SchemaModule {
  return target instanceof SchemaModule
    ? !key.startsWith('with')
    : target instanceof Kysely && BEGIN.has(key);
}
