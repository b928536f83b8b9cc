package vtl

import "strings"

// method numbers the methods that any value has, by name. What a name means
// depends on the receiver.
type method uint8

// noMethod is a name that no value has a method of.
const noMethod method = 0

const (
	mLength method = iota + 1
	mIsEmpty
	mCharAt
	mSubstring
	mSubSequence
	mIndexOf
	mLastIndexOf
	mContains
	mStartsWith
	mEndsWith
	mToUpperCase
	mToLowerCase
	mTrim
	mReplace
	mReplaceAll
	mReplaceFirst
	mMatches
	mSplit
	mConcat
	mEquals
	mEqualsIgnoreCase
	mCompareTo
	mCompareToIgnoreCase
	mContentEquals
	mHashCode
	mToString
	mIntern
	mCodePointAt
	mCodePointCount
	mRegionMatches
	mValueOf
	mFormat
	mJoin
	mGetBytes
	mToCharArray
	mCharValue
	mIsDigit
	mIsLetter
	mIsLetterOrDigit
	mIsUpperCase
	mIsLowerCase
	mIsWhitespace
	mGetNumericValue
	mIntValue
	mLongValue
	mDoubleValue
	mFloatValue
	mShortValue
	mByteValue
	mParseInt
	mParseLong
	mParseDouble
	mParseFloat
	mToHexString
	mToBinaryString
	mToOctalString
	mMax
	mMin
	mSum
	mSignum
	mBitCount
	mReverse
	mCompare
	mIsNaN
	mIsInfinite
	mAdd
	mSubtract
	mMultiply
	mDivide
	mMod
	mNegate
	mAbs
	mPow
	mBitLength
	mScale
	mBooleanValue
	mParseBoolean
	mLogicalXor
	mLogicalAnd
	mLogicalOr
	mSize
	mGet
	mAddAll
	mRemove
	mRemoveAll
	mRetainAll
	mSet
	mClear
	mContainsAll
	mSubList
	mIterator
	mListIterator
	mSort
	mClone
	mToArray
	mEnsureCapacity
	mToJSONString
	mPut
	mPutAll
	mPutIfAbsent
	mGetOrDefault
	mContainsKey
	mContainsValue
	mKeySet
	mEntrySet
	mValues
	mGetKey
	mGetValue
	mSetValue
	mHasNext
	mNext
	mGetIndex
	mGetCount
	mGetHasNext
	mIsFirst
	mIsLast
	mGetFirst
	mGetLast
	mGetParent
	mGetTopmost
	mGetDepth
	mGetReplaced
	mStop
	mGetBody
	mPath
	mJson
	mParams
	mEscapeJavaScript
	mUrlEncode
	mUrlDecode
	mBase64Encode
	mBase64Decode
	mParseJson
)

// methodNames are the names in the order of their numbers.
var methodNames = [...]string{
	"",
	"length", "isEmpty", "charAt", "substring", "subSequence", "indexOf", "lastIndexOf", "contains",
	"startsWith", "endsWith", "toUpperCase", "toLowerCase", "trim", "replace", "replaceAll", "replaceFirst",
	"matches", "split", "concat", "equals", "equalsIgnoreCase", "compareTo", "compareToIgnoreCase",
	"contentEquals", "hashCode", "toString", "intern", "codePointAt", "codePointCount", "regionMatches",
	"valueOf", "format", "join", "getBytes", "toCharArray", "charValue", "isDigit", "isLetter",
	"isLetterOrDigit", "isUpperCase", "isLowerCase", "isWhitespace", "getNumericValue", "intValue", "longValue",
	"doubleValue", "floatValue", "shortValue", "byteValue", "parseInt", "parseLong", "parseDouble", "parseFloat",
	"toHexString", "toBinaryString", "toOctalString", "max", "min", "sum", "signum", "bitCount", "reverse",
	"compare", "isNaN", "isInfinite", "add", "subtract", "multiply", "divide", "mod", "negate", "abs", "pow",
	"bitLength", "scale", "booleanValue", "parseBoolean", "logicalXor", "logicalAnd", "logicalOr", "size", "get",
	"addAll", "remove", "removeAll", "retainAll", "set", "clear", "containsAll", "subList", "iterator",
	"listIterator", "sort", "clone", "toArray", "ensureCapacity", "toJSONString", "put", "putAll", "putIfAbsent",
	"getOrDefault", "containsKey", "containsValue", "keySet", "entrySet", "values", "getKey", "getValue",
	"setValue", "hasNext", "next", "getIndex", "getCount", "getHasNext", "isFirst", "isLast", "getFirst",
	"getLast", "getParent", "getTopmost", "getDepth", "getReplaced", "stop", "getBody", "path", "json", "params",
	"escapeJavaScript", "urlEncode", "urlDecode", "base64Encode", "base64Decode", "parseJson",
}

// methodNamed returns the number of a name.
func methodNamed(name string) method {
	for i, n := range methodNames {
		if i > 0 && n == name {
			return method(i)
		}
	}
	return noMethod
}

func (m method) String() string { return methodNames[m] }

// getterNamed returns the method that a property is read by: getName or isName,
// with the case of the first letter as it is written or the other.
func getterNamed(property string) method {
	upper := strings.ToUpper(property[:1]) + property[1:]
	lower := strings.ToLower(property[:1]) + property[1:]
	for _, name := range [...]string{"get" + upper, "get" + lower, "is" + upper, "is" + lower} {
		if m := methodNamed(name); m != noMethod {
			return m
		}
	}
	return noMethod
}
