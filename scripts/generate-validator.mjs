/*
 * Writes lib/callback/validator.generated.ts from callbackSchema, so that importing the package neither compiles a schema nor evaluates
 * code. `--check` writes nothing and fails when the file on disk is not what the schema gives.
 * esbuild strips the schema's types, so that older Node versions can run this script too.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { Ajv } from 'ajv'
import standalone from 'ajv/dist/standalone/index.js'
import { transformSync } from 'esbuild'

const file = new URL('../lib/callback/validator.generated.ts', import.meta.url)
const source = readFileSync(new URL('../lib/callback/schema.ts', import.meta.url), 'utf8')
const { code: script } = transformSync(source, { loader: 'ts' })
const { callbackSchema } = await import(`data:text/javascript,${encodeURIComponent(script)}`)

const ajv = new Ajv({
  allErrors: true,
  strict: true,
  strictRequired: false,
  code: { source: true, esm: true, lines: true },
})
const generated = standalone.default(ajv, ajv.compile(callbackSchema))
const [, name] = /^export default (\w+);$/m.exec(generated) ?? []
const code = generated.replace(/^export (?:const validate|default) .*$\n/gm, '').replace(/^"use strict";\n/, '')
if (name === undefined || /\brequire\(|\bexport\b/.test(code)) {
  throw new Error(
    'ajv generated code that this script cannot handle. Does the schema use a keyword that needs a runtime helper?',
  )
}

const text = `// @ts-nocheck
// Generated from schema.ts by \`npm run generate\`. Do not edit.

/** A broken rule, as ajv reports it. */
export interface SchemaError {
  readonly keyword: string
  readonly instancePath: string
  readonly schemaPath: string
  readonly params: Readonly<Record<string, unknown>>
}

/** Checks strings by documented parameter name. After \`false\`, \`errors\` holds the broken rules. */
export const validate: { (texts: unknown): boolean; errors?: readonly SchemaError[] | null } = ${name}

${code.trimEnd()}
`

if (!process.argv.includes('--check')) {
  writeFileSync(file, text)
} else if (readFileSync(file, 'utf8') !== text) {
  console.error('lib/callback/validator.generated.ts is stale: run `npm run generate` and commit the result.')
  process.exitCode = 1
}
