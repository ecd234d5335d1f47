import { join } from 'node:path';
import ts from 'typescript';

const ROOT = join(import.meta.dirname, '../..');

/** What the library exports, each with its declaration as users get it, comments included; by name. */
export function apiReport(): { name: string; declaration: string }[] {
  const { config } = ts.readConfigFile(join(ROOT, 'tsconfig.json'), ts.sys.readFile) as { config: object };
  const { options } = ts.parseJsonConfigFileContent(config, ts.sys, ROOT);
  const index = join(ROOT, 'src/index.ts');
  const program = ts.createProgram([index], {
    ...options,
    noEmit: false,
    declaration: true,
    emitDeclarationOnly: true,
    allowImportingTsExtensions: true,
  });
  const checker = program.getTypeChecker();
  const source = program.getSourceFile(index);
  const module = source && checker.getSymbolAtLocation(source);
  if (!module) throw new Error('src/index.ts exports nothing');
  const emitted = new Map<ts.SourceFile, ts.SourceFile>();
  return checker
    .getExportsOfModule(module)
    .map((symbol) => {
      const own = symbol.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(symbol) : symbol;
      const file = own.declarations?.[0]?.getSourceFile();
      if (!file) throw new Error(`${symbol.name} is declared nowhere`);
      const declarations = emitted.get(file) ?? declarationsOf(program, file);
      emitted.set(file, declarations);
      return { name: symbol.name, declaration: declarationOf(declarations, own.name) };
    })
    .toSorted((a, b) => (a.name < b.name ? -1 : 1));
}

function declarationsOf(program: ts.Program, file: ts.SourceFile): ts.SourceFile {
  let text = '';
  program.emit(file, (_, written) => (text = written), undefined, true);
  return ts.createSourceFile('declarations.d.ts', text, ts.ScriptTarget.Latest, true);
}

function declarationOf(file: ts.SourceFile, name: string): string {
  const found = file.statements.filter((statement) =>
    ts.isVariableStatement(statement)
      ? statement.declarationList.declarations.some((each) => each.name.getText() === name)
      : (statement as ts.Statement & { name?: ts.Node }).name?.getText() === name,
  );
  const text = found.map((statement) => statement.getFullText().trim()).join('\n');
  if (!text) throw new Error(`${name} is not declared in ${file.text.slice(0, 200)}`);
  return text.replace(/^ *#private;\n/gm, '').replace(/^export declare /gm, 'export ');
}
