import { fieldsOf, opened, textsOf } from '../../engine/sql/effects/tree.ts';
import type { Rule } from '../rule.ts';
import type { Statement } from '../statements.ts';

const grantToPublic: Rule = {
  id: 'grant-to-public',
  severity: 'warn',
  hazard: 'PUBLIC is every role of the server, those of other tenants included.',
  statement({ kind, node }) {
    const grant = kind === 'AlterDefaultPrivilegesStmt' ? (node['action'] as Record<string, unknown>) : node;
    if (kind !== 'GrantStmt' && kind !== 'AlterDefaultPrivilegesStmt') return [];
    const isPublic = fieldsOf(grant['grantees']).some(({ roletype }) => roletype === 'ROLESPEC_PUBLIC');
    // What everybody has of these anyway, since they were made.
    const isUsual = /OBJECT_(?:FUNCTION|PROCEDURE|ROUTINE|TYPE|DOMAIN|LANGUAGE)$/.test(
      String(grant['objtype']),
    );
    if (!grant['is_grant'] || !isPublic || isUsual) return [];
    return [
      {
        message: 'grants privileges to PUBLIC',
        safe: '-- to the roles that need it: grant … on … to application_role;',
      },
    ];
  },
};

const securityDefiner: Rule = {
  id: 'security-definer-search-path',
  severity: 'error',
  hazard:
    "A function that runs with its owner's rights, but finds names by its caller's search_path, runs what the caller put there.",
  statement({ kind, node }, { statements }) {
    if (kind !== 'CreateFunctionStmt' && kind !== 'AlterFunctionStmt') return [];
    const options = fieldsOf(node['options'] ?? node['actions']);
    const isDefiner = options.some(({ defname, arg }) => {
      const { boolval } = opened(arg)[1];
      return defname === 'security' && boolval === true;
    });
    const nameOf = (each: Statement['node']) =>
      textsOf(each['funcname'] ?? (each['func'] as { objname?: unknown } | undefined)?.objname).at(-1) ?? '';
    const name = nameOf(node);
    const hasPath = (list: unknown) =>
      fieldsOf(list).some(
        ({ defname, arg }) => defname === 'set' && opened(arg)[1]['name'] === 'search_path',
      );
    const isSetLater = statements.some(
      (each) =>
        each.kind === 'AlterFunctionStmt' && nameOf(each.node) === name && hasPath(each.node['actions']),
    );
    if (!isDefiner || hasPath(options.length ? (node['options'] ?? node['actions']) : []) || isSetLater)
      return [];
    return [
      {
        message: `${name} is SECURITY DEFINER and has no search_path of its own`,
        safe: `alter function ${name}(…) set search_path = '';\n-- and write each name in it with its schema`,
      },
    ];
  },
};

export const RIGHTS_RULES = [grantToPublic, securityDefiner];
