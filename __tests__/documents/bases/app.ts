/* What a snippet marked `app` continues: the app of the README. */
import express from 'express'

export { conversionWebhook } from 'conversion-webhook'
export { express }
export const app = express()
