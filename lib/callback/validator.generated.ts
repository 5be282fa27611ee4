// @ts-nocheck
// Generated from schema.ts by `npm run generate`. Do not edit.

/** A broken rule, as ajv reports it. */
export interface SchemaError {
  readonly keyword: string
  readonly instancePath: string
  readonly schemaPath: string
  readonly params: Readonly<Record<string, unknown>>
}

/** Checks strings by documented parameter name. After `false`, `errors` holds the broken rules. */
export const validate: { (texts: unknown): boolean; errors?: readonly SchemaError[] | null } = validate10

const schema11 = {"$id":"urn:conversion-webhook:callback","title":"Referral conversion callback","type":"object","properties":{"conversion":{"type":"string","enum":["success","fail","pending"],"description":"must be success, fail or pending"},"referrer_name":{"type":"string","pattern":"^(?!\\s*[$#]?[{[<%]+\\s*referrer_name\\s*[}\\]>%]+\\s*$)[^\\u0000]{0,1024}$","description":"must be at most 1024 characters without NUL"},"referrer_email":{"type":"string","pattern":"^(?=.{1,320}$)[^@\\s\\p{Cc}\\p{Cs}]+@[^@\\s\\p{Cc}\\p{Cs}]+$","description":"must be an address with one @, without spaces or control characters, of at most 320 characters"},"referee_name":{"type":"string","pattern":"^(?!\\s*[$#]?[{[<%]+\\s*referee_name\\s*[}\\]>%]+\\s*$)[^\\u0000]{0,1024}$","description":"must be at most 1024 characters without NUL"},"referee_email":{"type":"string","pattern":"^(?=.{1,320}$)[^@\\s\\p{Cc}\\p{Cs}]+@[^@\\s\\p{Cc}\\p{Cs}]+$","description":"must be an address with one @, without spaces or control characters, of at most 320 characters"},"orderID":{"type":"string","pattern":"^(?!\\s*[$#]?[{[<%]+\\s*orderID\\s*[}\\]>%]+\\s*$)[^\\p{Cc}\\p{Cf}\\p{Cs}\\p{Default_Ignorable_Code_Point}\\u2800]{1,255}$","description":"must be at most 255 characters, without control characters and others that nobody sees"},"purchaseValue":{"type":"string","pattern":"^(?=.{1,255}$)(?=-?\\d+(?:\\.\\d+)?$)-?[0.]*(?:[1-9](?:\\.?\\d){0,14})?$","description":"must be a plain decimal number of at most 15 significant digits, such as 1000 or 12.30"},"referrer_converts":{"type":"string","pattern":"^0{0,255}(?:\\d{1,15}|[0-8]\\d{15}|900[0-6]\\d{12}|9007[0-0]\\d{11}|90071[0-8]\\d{10}|900719[0-8]\\d{9}|9007199[0-1]\\d{8}|90071992[0-4]\\d{7}|900719925[0-3]\\d{6}|9007199254[0-6]\\d{5}|90071992547[0-3]\\d{4}|9007199254740[0-8]\\d{2}|90071992547409[0-8]\\d{1}|900719925474099[0-0]\\d{0}|9007199254740991)$","description":"must be a whole number from 0 to 9007199254740991"},"referrer_customValue":{"type":"string","pattern":"^(?!\\s*[$#]?[{[<%]+\\s*referrer_customValue\\s*[}\\]>%]+\\s*$)[^\\u0000]{0,8192}$","description":"must be at most 8192 characters without NUL"},"goal_complete":{"type":"string","enum":["0","1"],"description":"must be 0 or 1"}},"required":["conversion"],"anyOf":[{"required":["orderID"]},{"required":["referee_email"]}]};
const pattern0 = new RegExp("^(?!\\s*[$#]?[{[<%]+\\s*referrer_name\\s*[}\\]>%]+\\s*$)[^\\u0000]{0,1024}$", "u");
const pattern1 = new RegExp("^(?=.{1,320}$)[^@\\s\\p{Cc}\\p{Cs}]+@[^@\\s\\p{Cc}\\p{Cs}]+$", "u");
const pattern2 = new RegExp("^(?!\\s*[$#]?[{[<%]+\\s*referee_name\\s*[}\\]>%]+\\s*$)[^\\u0000]{0,1024}$", "u");
const pattern4 = new RegExp("^(?!\\s*[$#]?[{[<%]+\\s*orderID\\s*[}\\]>%]+\\s*$)[^\\p{Cc}\\p{Cf}\\p{Cs}\\p{Default_Ignorable_Code_Point}\\u2800]{1,255}$", "u");
const pattern5 = new RegExp("^(?=.{1,255}$)(?=-?\\d+(?:\\.\\d+)?$)-?[0.]*(?:[1-9](?:\\.?\\d){0,14})?$", "u");
const pattern6 = new RegExp("^0{0,255}(?:\\d{1,15}|[0-8]\\d{15}|900[0-6]\\d{12}|9007[0-0]\\d{11}|90071[0-8]\\d{10}|900719[0-8]\\d{9}|9007199[0-1]\\d{8}|90071992[0-4]\\d{7}|900719925[0-3]\\d{6}|9007199254[0-6]\\d{5}|90071992547[0-3]\\d{4}|9007199254740[0-8]\\d{2}|90071992547409[0-8]\\d{1}|900719925474099[0-0]\\d{0}|9007199254740991)$", "u");
const pattern7 = new RegExp("^(?!\\s*[$#]?[{[<%]+\\s*referrer_customValue\\s*[}\\]>%]+\\s*$)[^\\u0000]{0,8192}$", "u");

function validate10(data, {instancePath="", parentData, parentDataProperty, rootData=data}={}){
/*# sourceURL="urn:conversion-webhook:callback" */;
let vErrors = null;
let errors = 0;
const _errs1 = errors;
let valid0 = false;
const _errs2 = errors;
if(data && typeof data == "object" && !Array.isArray(data)){
if(data.orderID === undefined){
const err0 = {instancePath,schemaPath:"#/anyOf/0/required",keyword:"required",params:{missingProperty: "orderID"},message:"must have required property '"+"orderID"+"'"};
if(vErrors === null){
vErrors = [err0];
}
else {
vErrors.push(err0);
}
errors++;
}
}
var _valid0 = _errs2 === errors;
valid0 = valid0 || _valid0;
if(!valid0){
const _errs3 = errors;
if(data && typeof data == "object" && !Array.isArray(data)){
if(data.referee_email === undefined){
const err1 = {instancePath,schemaPath:"#/anyOf/1/required",keyword:"required",params:{missingProperty: "referee_email"},message:"must have required property '"+"referee_email"+"'"};
if(vErrors === null){
vErrors = [err1];
}
else {
vErrors.push(err1);
}
errors++;
}
}
var _valid0 = _errs3 === errors;
valid0 = valid0 || _valid0;
}
if(!valid0){
const err2 = {instancePath,schemaPath:"#/anyOf",keyword:"anyOf",params:{},message:"must match a schema in anyOf"};
if(vErrors === null){
vErrors = [err2];
}
else {
vErrors.push(err2);
}
errors++;
}
else {
errors = _errs1;
if(vErrors !== null){
if(_errs1){
vErrors.length = _errs1;
}
else {
vErrors = null;
}
}
}
if(data && typeof data == "object" && !Array.isArray(data)){
if(data.conversion === undefined){
const err3 = {instancePath,schemaPath:"#/required",keyword:"required",params:{missingProperty: "conversion"},message:"must have required property '"+"conversion"+"'"};
if(vErrors === null){
vErrors = [err3];
}
else {
vErrors.push(err3);
}
errors++;
}
if(data.conversion !== undefined){
let data0 = data.conversion;
if(typeof data0 !== "string"){
const err4 = {instancePath:instancePath+"/conversion",schemaPath:"#/properties/conversion/type",keyword:"type",params:{type: "string"},message:"must be string"};
if(vErrors === null){
vErrors = [err4];
}
else {
vErrors.push(err4);
}
errors++;
}
if(!(((data0 === "success") || (data0 === "fail")) || (data0 === "pending"))){
const err5 = {instancePath:instancePath+"/conversion",schemaPath:"#/properties/conversion/enum",keyword:"enum",params:{allowedValues: schema11.properties.conversion.enum},message:"must be equal to one of the allowed values"};
if(vErrors === null){
vErrors = [err5];
}
else {
vErrors.push(err5);
}
errors++;
}
}
if(data.referrer_name !== undefined){
let data1 = data.referrer_name;
if(typeof data1 === "string"){
if(!pattern0.test(data1)){
const err6 = {instancePath:instancePath+"/referrer_name",schemaPath:"#/properties/referrer_name/pattern",keyword:"pattern",params:{pattern: "^(?!\\s*[$#]?[{[<%]+\\s*referrer_name\\s*[}\\]>%]+\\s*$)[^\\u0000]{0,1024}$"},message:"must match pattern \""+"^(?!\\s*[$#]?[{[<%]+\\s*referrer_name\\s*[}\\]>%]+\\s*$)[^\\u0000]{0,1024}$"+"\""};
if(vErrors === null){
vErrors = [err6];
}
else {
vErrors.push(err6);
}
errors++;
}
}
else {
const err7 = {instancePath:instancePath+"/referrer_name",schemaPath:"#/properties/referrer_name/type",keyword:"type",params:{type: "string"},message:"must be string"};
if(vErrors === null){
vErrors = [err7];
}
else {
vErrors.push(err7);
}
errors++;
}
}
if(data.referrer_email !== undefined){
let data2 = data.referrer_email;
if(typeof data2 === "string"){
if(!pattern1.test(data2)){
const err8 = {instancePath:instancePath+"/referrer_email",schemaPath:"#/properties/referrer_email/pattern",keyword:"pattern",params:{pattern: "^(?=.{1,320}$)[^@\\s\\p{Cc}\\p{Cs}]+@[^@\\s\\p{Cc}\\p{Cs}]+$"},message:"must match pattern \""+"^(?=.{1,320}$)[^@\\s\\p{Cc}\\p{Cs}]+@[^@\\s\\p{Cc}\\p{Cs}]+$"+"\""};
if(vErrors === null){
vErrors = [err8];
}
else {
vErrors.push(err8);
}
errors++;
}
}
else {
const err9 = {instancePath:instancePath+"/referrer_email",schemaPath:"#/properties/referrer_email/type",keyword:"type",params:{type: "string"},message:"must be string"};
if(vErrors === null){
vErrors = [err9];
}
else {
vErrors.push(err9);
}
errors++;
}
}
if(data.referee_name !== undefined){
let data3 = data.referee_name;
if(typeof data3 === "string"){
if(!pattern2.test(data3)){
const err10 = {instancePath:instancePath+"/referee_name",schemaPath:"#/properties/referee_name/pattern",keyword:"pattern",params:{pattern: "^(?!\\s*[$#]?[{[<%]+\\s*referee_name\\s*[}\\]>%]+\\s*$)[^\\u0000]{0,1024}$"},message:"must match pattern \""+"^(?!\\s*[$#]?[{[<%]+\\s*referee_name\\s*[}\\]>%]+\\s*$)[^\\u0000]{0,1024}$"+"\""};
if(vErrors === null){
vErrors = [err10];
}
else {
vErrors.push(err10);
}
errors++;
}
}
else {
const err11 = {instancePath:instancePath+"/referee_name",schemaPath:"#/properties/referee_name/type",keyword:"type",params:{type: "string"},message:"must be string"};
if(vErrors === null){
vErrors = [err11];
}
else {
vErrors.push(err11);
}
errors++;
}
}
if(data.referee_email !== undefined){
let data4 = data.referee_email;
if(typeof data4 === "string"){
if(!pattern1.test(data4)){
const err12 = {instancePath:instancePath+"/referee_email",schemaPath:"#/properties/referee_email/pattern",keyword:"pattern",params:{pattern: "^(?=.{1,320}$)[^@\\s\\p{Cc}\\p{Cs}]+@[^@\\s\\p{Cc}\\p{Cs}]+$"},message:"must match pattern \""+"^(?=.{1,320}$)[^@\\s\\p{Cc}\\p{Cs}]+@[^@\\s\\p{Cc}\\p{Cs}]+$"+"\""};
if(vErrors === null){
vErrors = [err12];
}
else {
vErrors.push(err12);
}
errors++;
}
}
else {
const err13 = {instancePath:instancePath+"/referee_email",schemaPath:"#/properties/referee_email/type",keyword:"type",params:{type: "string"},message:"must be string"};
if(vErrors === null){
vErrors = [err13];
}
else {
vErrors.push(err13);
}
errors++;
}
}
if(data.orderID !== undefined){
let data5 = data.orderID;
if(typeof data5 === "string"){
if(!pattern4.test(data5)){
const err14 = {instancePath:instancePath+"/orderID",schemaPath:"#/properties/orderID/pattern",keyword:"pattern",params:{pattern: "^(?!\\s*[$#]?[{[<%]+\\s*orderID\\s*[}\\]>%]+\\s*$)[^\\p{Cc}\\p{Cf}\\p{Cs}\\p{Default_Ignorable_Code_Point}\\u2800]{1,255}$"},message:"must match pattern \""+"^(?!\\s*[$#]?[{[<%]+\\s*orderID\\s*[}\\]>%]+\\s*$)[^\\p{Cc}\\p{Cf}\\p{Cs}\\p{Default_Ignorable_Code_Point}\\u2800]{1,255}$"+"\""};
if(vErrors === null){
vErrors = [err14];
}
else {
vErrors.push(err14);
}
errors++;
}
}
else {
const err15 = {instancePath:instancePath+"/orderID",schemaPath:"#/properties/orderID/type",keyword:"type",params:{type: "string"},message:"must be string"};
if(vErrors === null){
vErrors = [err15];
}
else {
vErrors.push(err15);
}
errors++;
}
}
if(data.purchaseValue !== undefined){
let data6 = data.purchaseValue;
if(typeof data6 === "string"){
if(!pattern5.test(data6)){
const err16 = {instancePath:instancePath+"/purchaseValue",schemaPath:"#/properties/purchaseValue/pattern",keyword:"pattern",params:{pattern: "^(?=.{1,255}$)(?=-?\\d+(?:\\.\\d+)?$)-?[0.]*(?:[1-9](?:\\.?\\d){0,14})?$"},message:"must match pattern \""+"^(?=.{1,255}$)(?=-?\\d+(?:\\.\\d+)?$)-?[0.]*(?:[1-9](?:\\.?\\d){0,14})?$"+"\""};
if(vErrors === null){
vErrors = [err16];
}
else {
vErrors.push(err16);
}
errors++;
}
}
else {
const err17 = {instancePath:instancePath+"/purchaseValue",schemaPath:"#/properties/purchaseValue/type",keyword:"type",params:{type: "string"},message:"must be string"};
if(vErrors === null){
vErrors = [err17];
}
else {
vErrors.push(err17);
}
errors++;
}
}
if(data.referrer_converts !== undefined){
let data7 = data.referrer_converts;
if(typeof data7 === "string"){
if(!pattern6.test(data7)){
const err18 = {instancePath:instancePath+"/referrer_converts",schemaPath:"#/properties/referrer_converts/pattern",keyword:"pattern",params:{pattern: "^0{0,255}(?:\\d{1,15}|[0-8]\\d{15}|900[0-6]\\d{12}|9007[0-0]\\d{11}|90071[0-8]\\d{10}|900719[0-8]\\d{9}|9007199[0-1]\\d{8}|90071992[0-4]\\d{7}|900719925[0-3]\\d{6}|9007199254[0-6]\\d{5}|90071992547[0-3]\\d{4}|9007199254740[0-8]\\d{2}|90071992547409[0-8]\\d{1}|900719925474099[0-0]\\d{0}|9007199254740991)$"},message:"must match pattern \""+"^0{0,255}(?:\\d{1,15}|[0-8]\\d{15}|900[0-6]\\d{12}|9007[0-0]\\d{11}|90071[0-8]\\d{10}|900719[0-8]\\d{9}|9007199[0-1]\\d{8}|90071992[0-4]\\d{7}|900719925[0-3]\\d{6}|9007199254[0-6]\\d{5}|90071992547[0-3]\\d{4}|9007199254740[0-8]\\d{2}|90071992547409[0-8]\\d{1}|900719925474099[0-0]\\d{0}|9007199254740991)$"+"\""};
if(vErrors === null){
vErrors = [err18];
}
else {
vErrors.push(err18);
}
errors++;
}
}
else {
const err19 = {instancePath:instancePath+"/referrer_converts",schemaPath:"#/properties/referrer_converts/type",keyword:"type",params:{type: "string"},message:"must be string"};
if(vErrors === null){
vErrors = [err19];
}
else {
vErrors.push(err19);
}
errors++;
}
}
if(data.referrer_customValue !== undefined){
let data8 = data.referrer_customValue;
if(typeof data8 === "string"){
if(!pattern7.test(data8)){
const err20 = {instancePath:instancePath+"/referrer_customValue",schemaPath:"#/properties/referrer_customValue/pattern",keyword:"pattern",params:{pattern: "^(?!\\s*[$#]?[{[<%]+\\s*referrer_customValue\\s*[}\\]>%]+\\s*$)[^\\u0000]{0,8192}$"},message:"must match pattern \""+"^(?!\\s*[$#]?[{[<%]+\\s*referrer_customValue\\s*[}\\]>%]+\\s*$)[^\\u0000]{0,8192}$"+"\""};
if(vErrors === null){
vErrors = [err20];
}
else {
vErrors.push(err20);
}
errors++;
}
}
else {
const err21 = {instancePath:instancePath+"/referrer_customValue",schemaPath:"#/properties/referrer_customValue/type",keyword:"type",params:{type: "string"},message:"must be string"};
if(vErrors === null){
vErrors = [err21];
}
else {
vErrors.push(err21);
}
errors++;
}
}
if(data.goal_complete !== undefined){
let data9 = data.goal_complete;
if(typeof data9 !== "string"){
const err22 = {instancePath:instancePath+"/goal_complete",schemaPath:"#/properties/goal_complete/type",keyword:"type",params:{type: "string"},message:"must be string"};
if(vErrors === null){
vErrors = [err22];
}
else {
vErrors.push(err22);
}
errors++;
}
if(!((data9 === "0") || (data9 === "1"))){
const err23 = {instancePath:instancePath+"/goal_complete",schemaPath:"#/properties/goal_complete/enum",keyword:"enum",params:{allowedValues: schema11.properties.goal_complete.enum},message:"must be equal to one of the allowed values"};
if(vErrors === null){
vErrors = [err23];
}
else {
vErrors.push(err23);
}
errors++;
}
}
}
else {
const err24 = {instancePath,schemaPath:"#/type",keyword:"type",params:{type: "object"},message:"must be object"};
if(vErrors === null){
vErrors = [err24];
}
else {
vErrors.push(err24);
}
errors++;
}
validate10.errors = vErrors;
return errors === 0;
}
