import { join } from 'node:path'
import ts from 'typescript'
import { root } from './markdown.js'

const { config } = ts.readConfigFile(join(root, 'tsconfig.json'), (path) => ts.sys.readFile(path)) as {
  config: { compilerOptions: object }
}
const options: ts.CompilerOptions = {
  ...ts.convertCompilerOptionsFromJson(config.compilerOptions, root).options,
  paths: {
    'conversion-webhook': [join(root, 'lib/index.ts')],
    'conversion-webhook/sqlite': [join(root, 'lib/sqlite.ts')],
    'conversion-webhook/postgres': [join(root, 'lib/postgres.ts')],
    'conversion-webhook/inspector': [join(root, 'lib/inspector.ts')],
    'conversion-webhook/testing': [join(root, 'lib/testing.ts')],
  },
  types: ['node', 'jest'],
  noEmit: true,
  noUnusedLocals: false,
  noUnusedParameters: false,
}

/** A program over files that exist only here, by path from the root. */
export function compile(files: Readonly<Record<string, string>>): ts.Program {
  const virtual = new Map(Object.entries(files).map(([name, text]) => [join(root, name), text]))
  const real = ts.createCompilerHost(options)
  const host: ts.CompilerHost = {
    ...real,
    fileExists: (path) => virtual.has(path) || real.fileExists(path),
    readFile: (path) => virtual.get(path) ?? real.readFile(path),
    getSourceFile(path, language, ...rest) {
      const text = virtual.get(path)
      return text === undefined
        ? real.getSourceFile(path, language, ...rest)
        : ts.createSourceFile(path, text, language)
    },
  }
  return ts.createProgram([...virtual.keys()], options, host)
}

/** What the compiler says about one of the files, a line a fault. */
export function faultsOf(program: ts.Program, name: string): string[] {
  const source = program.getSourceFile(join(root, name))
  if (source === undefined) throw new Error(`${name} is not in the program.`)
  const diagnostics = [...program.getSyntacticDiagnostics(source), ...program.getSemanticDiagnostics(source)]
  return diagnostics.map(({ start, messageText }) => {
    const { line } = source.getLineAndCharacterOfPosition(start ?? 0)
    return `line ${String(line + 1)}: ${ts.flattenDiagnosticMessageText(messageText, '\n')}`
  })
}

/** Faults of a text as JavaScript: whether it parses. */
export function parseFaults(code: string): string[] {
  const { diagnostics = [] } = ts.transpileModule(code, {
    fileName: 'snippet.js',
    reportDiagnostics: true,
    compilerOptions: { module: ts.ModuleKind.ESNext, target: ts.ScriptTarget.ESNext, allowJs: true },
  })
  return diagnostics.map(({ messageText }) => ts.flattenDiagnosticMessageText(messageText, '\n'))
}

/** The names in the package's public surface, and the members of its interfaces, as the compiler sees them. */
export function publicSurface() {
  const program = compile({ 'snippets/surface.ts': "import 'conversion-webhook'\n" })
  const checker = program.getTypeChecker()
  const source = program.getSourceFile(join(root, 'lib/index.ts'))
  const symbol = source && checker.getSymbolAtLocation(source)
  if (symbol === undefined) throw new Error('lib/index.ts has no exports.')
  const exported = checker.getExportsOfModule(symbol)

  return {
    names: exported.map(({ name }) => name),
    /** Members of an exported type; of a union those of all its kinds. */
    membersOf: (name: string): string[] => {
      const type = exported.find((each) => each.name === name)
      if (type === undefined) throw new Error(`${name} is not exported.`)
      const declared = checker.getDeclaredTypeOfSymbol(
        type.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(type) : type,
      )
      return checker.getPropertiesOfType(declared).map((member) => member.name)
    },
  }
}
