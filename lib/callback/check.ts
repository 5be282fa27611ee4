import type { Issue } from '../errors.js'
import { callbackSchema, isParameterName, type ParameterTexts } from './schema.js'
import { validate, type SchemaError } from './validator.generated.js'

/** Rules named for people instead of for JSON Schema. */
const ruleNames: Readonly<Record<string, string>> = { not: 'placeholder', anyOf: 'identity' }

/** Judges the ten parameters' texts with the validator generated from `callbackSchema`: one issue a parameter. */
export function checkParameters(texts: ParameterTexts): readonly Issue[] {
  if (validate(texts)) return []
  const issues = new Map<string | undefined, Issue>()
  for (const error of validate.errors ?? []) {
    // The alternatives of `anyOf` report themselves too; the whole says it once.
    if (error.schemaPath.startsWith('#/anyOf/')) continue
    const issue = issueOf(error)
    if (!issues.has(issue.parameter) || issue.rule === 'placeholder') issues.set(issue.parameter, issue)
  }
  return [...issues.values()]
}

function issueOf({ keyword, instancePath, params }: SchemaError): Issue {
  const rule = ruleNames[keyword] ?? keyword
  if (rule === 'identity') {
    return { rule, message: 'orderID or referee_email must be present: without them conversions cannot be told apart' }
  }
  const parameter = instancePath.slice(1) || String(params.missingProperty)
  if (rule === 'required') return { parameter, rule, message: `${parameter} is missing` }
  if (rule === 'placeholder') {
    return { parameter, rule, message: `${parameter} is a template of the sender that was not filled in` }
  }
  const description = isParameterName(parameter) ? callbackSchema.properties[parameter] : undefined
  return {
    parameter,
    rule,
    message: `${parameter} ${description && 'description' in description ? description.description : 'is not valid'}`,
  }
}
