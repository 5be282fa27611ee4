/*
 * A parser made of packages: fast-querystring, and callbackSchema compiled by ajv. Makes the same conversion as parseCallback, but repairs
 * nothing and reports only ajv's first error.
 */
import { Ajv } from 'ajv'
import { callbackSchema } from 'conversion-webhook'
import { parse } from 'fast-querystring'

const validate = new Ajv().compile(callbackSchema)
const known = new Set(Object.keys(callbackSchema.properties))
const untrimmed = new Set(['referrer_name', 'referee_name', 'referrer_customValue'])

export function parseWithParts(query) {
  const params = {}
  const texts = {}
  const extra = Object.create(null)
  for (const [name, value] of Object.entries(parse(query))) {
    const text = Array.isArray(value) ? value[0] : value
    if (!known.has(name)) {
      extra[name] = text
      continue
    }
    if (Array.isArray(value) && value.some((other) => other !== text)) return { ok: false, issues: [] }
    const trimmed = text.trim()
    if (trimmed === '') continue
    params[name] = text
    texts[name] = untrimmed.has(name) ? text : trimmed
  }
  if (texts.conversion !== undefined) texts.conversion = texts.conversion.toLowerCase()
  if (!validate(texts)) return { ok: false, issues: validate.errors }

  const referrer = {}
  if (texts.referrer_name !== undefined) referrer.name = texts.referrer_name
  if (texts.referrer_email !== undefined) referrer.email = texts.referrer_email
  if (texts.referrer_converts !== undefined) referrer.conversions = Number(texts.referrer_converts)
  if (texts.referrer_customValue !== undefined) referrer.customValue = texts.referrer_customValue
  const referee = {}
  if (texts.referee_name !== undefined) referee.name = texts.referee_name
  if (texts.referee_email !== undefined) referee.email = texts.referee_email
  const conversion = { status: texts.conversion, referrer, referee }
  if (texts.orderID !== undefined) conversion.orderId = texts.orderID
  if (texts.purchaseValue !== undefined) conversion.purchaseValue = Number(texts.purchaseValue)
  conversion.goalComplete = texts.goal_complete === '1'
  conversion.scope = ''
  conversion.receivedAt = new Date()
  conversion.extra = extra
  conversion.params = params
  conversion.repairs = []
  return { ok: true, conversion }
}
